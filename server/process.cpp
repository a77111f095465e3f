// SPDX-License-Identifier: MIT
// server/process.cpp - memory of this process, and the decoders it uses.
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "server/serve.h"

namespace face {

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * size_t(::sysconf(_SC_PAGESIZE));
}

void limit_spinning(char** argv) {
  constexpr const char* kVariable = "GOMP_SPINCOUNT";
  constexpr const char* kShort = "1000";  // some microseconds
  if (std::getenv(kVariable) != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (::setenv(kVariable, kShort, 1) == 0) ::execv("/proc/self/exe", argv);
}

void tune_allocator() {
  constexpr int kArenas = 4;
  constexpr int kLargeBlock = 1 << 20;
  ::mallopt(M_ARENA_MAX, kArenas);
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kLargeBlock);
}

PictureDecoder picture_decoder(const ImageLimits& limits) {
  return {
      [limits](std::span<const uint8_t> bytes) { return probe_image(bytes, limits); },
      [limits](std::span<const uint8_t> bytes, const ImageInfo& info, const ImageTarget& target) {
        return decode_image(bytes, info, limits, target);
      }};
}

}  // namespace face
