// SPDX-License-Identifier: MIT
// kernels/cuda/emu/fiber.h - stacks that switch to each other (Boost.Context), known to ASan and
// TSan.
#pragma once

#include <cstddef>

namespace face::cuda::emu {

/// One stack, with a guard page below it. The default-constructed one stands for the caller's own.
class Fiber {
 public:
  using Entry = void (*)();

  Fiber() = default;
  /// `index` staggers the stacks, so that their hot frames do not share cache sets.
  Fiber(Entry entry, size_t index);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `from`, which must be running, and continues `to`.
  static void jump(Fiber& from, Fiber& to);
  /// First statement on a new fiber: tells ASan that the switch is done.
  static void arrived(void* fake_stack = nullptr);

 private:
  void* context_ = nullptr;
  char* stack_ = nullptr;  // lowest address
  size_t size_ = 0;
  void* fake_stack_ = nullptr;  // ASan's
  void* thread_ = nullptr;      // TSan's
  Entry entry_ = nullptr;
  static Fiber* left_;  // the fiber that jumped last

  friend struct FiberStart;
};

}  // namespace face::cuda::emu
