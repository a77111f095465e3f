// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/shared_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "kernels/cuda/emu/races.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FACE_FORBID(p, n) __asan_poison_memory_region(p, n)
#define FACE_ALLOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FACE_FORBID(p, n) static_cast<void>(0)
#define FACE_ALLOW(p, n) static_cast<void>(0)
#endif

namespace face::cuda::emu {
namespace {

constexpr size_t kRoom = 512 << 10;
constexpr size_t kMaxStatic = 48 << 10;
constexpr size_t kFence = 64;  // bytes behind each array that nobody may write
constexpr char kPoison = '\xff';

}  // namespace

SharedMemory::SharedMemory() {
  void* map = mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  room_ = static_cast<char*>(map);
}

SharedMemory::~SharedMemory() {
  FACE_ALLOW(room_, kRoom);
  munmap(room_, kRoom);
}

void SharedMemory::start(size_t dynamic_size) {
  arrays_.clear();
  used_ = dynamic_size_ = dynamic_size;
  FACE_ALLOW(room_, kRoom);
  const races::Unseen nobody;
  std::memset(room_, kPoison, used_ + kFence);
  FACE_FORBID(room_ + used_, kRoom - used_);
}

void* SharedMemory::array(const void* key, size_t size, size_t max_shared) {
  size_t total = size;
  for (const Array& array : arrays_) {
    if (array.key == key) return room_ + array.offset;
    total += array.size;
  }
  if (total > kMaxStatic || total + dynamic_size_ > max_shared) return nullptr;
  const size_t offset = (used_ + kFence + 15) & ~size_t{15};
  arrays_.push_back({key, offset, size});
  used_ = offset + size;
  FACE_ALLOW(room_ + offset, size + kFence);
  const races::Unseen whoever_came_first;
  std::memset(room_ + offset, kPoison, size + kFence);
  FACE_FORBID(room_ + used_, kFence);
  return room_ + offset;
}

bool SharedMemory::contains(const void* p, size_t size) const {
  const char* c = static_cast<const char*>(p);
  return c >= room_ && c + size <= room_ + used_;
}

std::string SharedMemory::broken_fence() const {
  const auto check = [this](size_t end, const char* what) -> std::string {
    FACE_ALLOW(room_ + end, kFence);
    for (size_t i = end; i < end + kFence; ++i) {
      if (room_[i] != kPoison)
        return std::string("write behind ") + what + " shared memory, " + std::to_string(i - end) +
               " bytes past its end";
    }
    return {};
  };
  std::string broken = check(dynamic_size_, "dynamic");
  for (const Array& array : arrays_) {
    if (broken.empty()) broken = check(array.offset + array.size, "an array in");
  }
  return broken;
}

void AsyncCopies::clear() {
  copies_.clear();
  groups_.clear();
  uncommitted_ = 0;
}

void AsyncCopies::add(void* to, const void* from, uint32_t size, uint32_t valid) {
  copies_.push_back({static_cast<char*>(to), static_cast<const char*>(from), size, valid});
  ++uncommitted_;
}

void AsyncCopies::commit() {
  groups_.push_back(uncommitted_);
  uncommitted_ = 0;
}

void AsyncCopies::wait(uint32_t keep_groups) {
  size_t finished = 0, group = 0;
  for (; groups_.size() - group > keep_groups; ++group) finished += groups_[group];
  for (size_t i = 0; i < finished; ++i) {
    const Copy& copy = copies_[i];
    std::memcpy(copy.to, copy.from, copy.valid);
    std::memset(copy.to + copy.valid, 0, copy.size - copy.valid);
  }
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<ptrdiff_t>(finished));
  groups_.erase(groups_.begin(), groups_.begin() + static_cast<ptrdiff_t>(group));
}

}  // namespace face::cuda::emu
