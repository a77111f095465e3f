// SPDX-License-Identifier: MIT
// kernels/cuda/emu/turns.h - which thread of a block runs next.
#pragma once

#include <array>
#include <cstdint>

namespace face::cuda::emu {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;

/// The runnable threads of a block, by Config::order: one warp, chosen by its seed, as far as it
/// gets.
class Turns {
 public:
  /// A launch with blocks of `threads` starts.
  void start(int threads);
  /// Every thread is runnable; the order of warps is drawn anew.
  void all_ready();
  /// So are these lanes of a warp.
  void ready(int warp, uint32_t lanes) { ready_[warp] |= lanes; }
  /// The thread to run next, runnable no more; -1 if there is none.
  int next();

 private:
  void shuffle_warps();
  int pick_lane(uint32_t ready) const;
  uint64_t random();

  int threads_ = 0, warps_ = 0;
  std::array<uint32_t, kMaxThreads / kWarp> ready_{};  // runnable lanes of each warp
  std::array<uint8_t, kMaxThreads / kWarp> order_{};   // warps, the one to run first in front
  int first_lane_ = 0;
  uint64_t state_ = 1;
};

}  // namespace face::cuda::emu
