// SPDX-License-Identifier: MIT
// kernels/cuda/emu/meetings.h - lanes of a warp that wait for each other in a warp operation.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/cuda/emu/block.h"
#include "kernels/cuda/emu/turns.h"

namespace face::cuda::emu {

struct Meeting {
  uint32_t mask = 0, arrived = 0;
  void (*operation)(uint32_t, void**) = nullptr;
  Site site;  // of the first to arrive
  std::array<void*, kWarp> operands{};
};

/// The meetings of a block's warps; nobody is waited for in one that has no arrivals.
class Meetings {
 public:
  Meetings();
  void clear();
  /// The meeting of these lanes, a new one if none of them waits. What it returns may be one of
  /// other lanes, if both masks have some in common: an error of the kernel.
  Meeting& of(int warp, uint32_t mask, Site site);

 private:
  std::array<std::vector<Meeting>, kMaxThreads / kWarp> meetings_;
};

}  // namespace face::cuda::emu
