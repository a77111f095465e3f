// SPDX-License-Identifier: MIT
// kernels/cuda/emu/crew.h - the threads and the shared memory of a block, taken over by the next.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "kernels/cuda/emu/block.h"
#include "kernels/cuda/emu/fiber.h"
#include "kernels/cuda/emu/races.h"
#include "kernels/cuda/emu/shared_memory.h"
#include "kernels/cuda/emu/turns.h"

namespace face::cuda::emu {

enum class State : uint8_t { kNew, kReady, kRunning, kAtBarrier, kAtWarpOperation, kDone };

struct Thread {
  uint3 index{};
  State state = State::kNew;
  Fiber* fiber = nullptr;
  Site site;
  AsyncCopies copies;
};

/// Blocks of one crew come after each other, in every sense. Where races are watched there are
/// several crews, and blocks of different ones are as concurrent as those of a GPU: a thread of a
/// crew is one thread to the sanitizer, whatever the block.
struct Crew {
  std::vector<Thread> threads;
  SharedMemory shared;
  std::vector<std::unique_ptr<Fiber>> fibers;  // the threads' own, where races are watched

  // Tokens of races.h.
  std::array<std::array<char, 2>, 1 + kMaxThreads / kWarp> barriers{};  // block's, each warp's
  std::array<char, 2> ends{};  // of its blocks with an even and an odd number
  uint32_t blocks = 0;
};

/// The first four blocks that run have four different crews, so have the next four, and so on; of
/// other pairs one in four shares a crew, drawn anew for every launch.
constexpr int kCrews = races::kWatched ? 4 : 1;

}  // namespace face::cuda::emu
