// SPDX-License-Identifier: MIT
// kernels/cuda/emu/shared_memory.h - the shared memory of the block that runs, and a thread's
// cp.async copies on their way into it.
//
// Memory starts as NaN bytes. Behind each array stands a fence whose change is found when the
// block ends; under AddressSanitizer it is found at the write. Errors are returned: the scheduler
// throws them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace face::cuda::emu {

class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// A block starts: `dynamic_size` bytes at dynamic(), no arrays.
  void start(size_t dynamic_size);
  char* dynamic() { return room_; }
  /// The block's __shared__ array `key`, made when first met. nullptr if static arrays exceed
  /// 48 KiB or, with the dynamic part, `max_shared`.
  void* array(const void* key, size_t size, size_t max_shared);
  bool contains(const void* p, size_t size) const;
  /// What was written behind an array; empty if nothing was.
  std::string broken_fence() const;

 private:
  struct Array {
    const void* key;
    size_t offset, size;
  };
  char* room_ = nullptr;  // the dynamic part first, then the arrays as they are met
  size_t used_ = 0, dynamic_size_ = 0;
  std::vector<Array> arrays_;
};

/// cp.async of one thread: nothing arrives before wait().
class AsyncCopies {
 public:
  void clear();
  bool empty() const { return copies_.empty(); }
  /// `valid` of `size` bytes are copied, the others zeroed.
  void add(void* to, const void* from, uint32_t size, uint32_t valid);
  void commit();
  void wait(uint32_t keep_groups);

 private:
  struct Copy {
    char* to;
    const char* from;
    uint32_t size, valid;
  };
  std::vector<Copy> copies_;
  std::vector<uint32_t> groups_;
  uint32_t uncommitted_ = 0;
};

}  // namespace face::cuda::emu
