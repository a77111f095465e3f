// SPDX-License-Identifier: MIT
#include "engine/cuda/picture_memory.h"

namespace face::cuda {
namespace {

constexpr size_t kPage = 64 << 10;

}  // namespace

PictureMemory::PictureMemory(size_t bytes)
    : memory_(pinned_memory(bytes / kPage * kPage)), taken_(bytes / kPage) {}

uint8_t* PictureMemory::allocate(size_t bytes) {
  const size_t wanted = (bytes + kPage - 1) / kPage;
  const std::lock_guard lock(mutex_);
  size_t first = 0;  // of the free pages that end at `page`
  for (size_t page = 0; page < taken_.size() && wanted > 0;) {
    if (taken_[page] != 0) {
      page += taken_[page];
      first = page;
    } else if (++page - first == wanted) {
      taken_[first] = wanted;
      return memory_.as<uint8_t>(first * kPage);
    }
  }
  return nullptr;
}

void PictureMemory::free(uint8_t* pixels) noexcept {
  const std::lock_guard lock(mutex_);
  taken_[static_cast<size_t>(pixels - memory_.as<uint8_t>()) / kPage] = 0;
}

}  // namespace face::cuda
