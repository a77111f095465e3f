// SPDX-License-Identifier: MIT
// tests/support/guarded.h - float buffers between pages that fault: an access beyond either end of
// the data kills the test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <new>

namespace face::test {

enum class Guard { kAfter, kBefore };  // which end of the data touches the forbidden page

/// `size` floats, all NaN.
class GuardedFloats {
 public:
  GuardedFloats(size_t size, Guard guard) : size_(size) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (size * sizeof(float) + page - 1) / page * page;
    bytes_ = inner + 2 * page;
    base_ =
        static_cast<char*>(mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    if (inner > 0 && mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0) {
      throw std::bad_alloc();
    }
    const size_t skip = guard == Guard::kAfter ? inner - size * sizeof(float) : 0;
    data_ = reinterpret_cast<float*>(base_ + page + skip);
    std::fill_n(data_, size, std::numeric_limits<float>::quiet_NaN());
  }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  ~GuardedFloats() { munmap(base_, bytes_); }

  [[nodiscard]] float* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] float* begin() const { return data_; }
  [[nodiscard]] float* end() const { return data_ + size_; }

 private:
  size_t size_;
  size_t bytes_ = 0;
  char* base_ = nullptr;
  float* data_ = nullptr;
};

}  // namespace face::test
