// SPDX-License-Identifier: MIT
// kernels/cuda/emu/block.h - runs the threads of a block as fibers on one OS thread.
//
// One block runs at a time, one of its threads at a time. Which one is decided at barriers and
// warp operations only: the scheduler picks a warp (by `Config::order` and seed) and lets it run
// as far as it gets before the next one starts. Such a depth-first order makes a missing barrier
// visible, where taking turns would hide it.
//
// Errors end the launch and name thread, file and line: a barrier that part of the block does not
// reach or that is reached from two places, warp operations whose lanes disagree, cp.async never
// waited for, writes behind a shared array. Shared memory starts as NaN bytes.
// Under ThreadSanitizer every thread has a stack of its own and races are reported: of a block's
// threads (races.h), and of different blocks (crew.h).
// Not modelled: spinning on another thread's write, memory ordering, bank conflicts, registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/cuda/emu/language.h"

namespace face::cuda::emu {

enum class Order { kSequential, kReverse, kRandom };

struct Config {
  Order order = Order::kSequential;
  uint64_t seed = 1;  // kRandom: which warp runs ahead, which lane of it goes first
  size_t max_shared = 227 << 10;
};
/// Of every later launch. FACE_EMU_SEED=n in the environment starts with kRandom and that seed.
Config& config();

/// A fault of a kernel; the runtime turns it into cudaErrorLaunchFailure with this text.
class KernelError : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// Where a thread called a barrier or warp operation.
struct Site {
  const char* file = nullptr;
  int line = 0;
};

/// A launch: `body(argument)` is what each thread runs.
struct Launch {
  void (*body)(const void*) = nullptr;
  const void* argument = nullptr;
  dim3 grid, block;
  size_t dynamic_shared = 0;
};

/// Runs all blocks. Throws KernelError.
void run_grid(const Launch& launch);

// ---- for the thread that is running ----
void barrier(Site site);
/// Meets the other lanes of `mask`; the last to arrive calls operation(mask, operands of the 32
/// lanes) once for all of them. `operand` must live until the call returns.
void collective(uint32_t mask, void (*operation)(uint32_t mask, void** operands), void* operand,
                Site site);
/// The same for __syncwarp: what lanes did before comes before what they do afterwards. No other
/// warp operation promises that.
void warp_barrier(uint32_t mask, Site site);
[[noreturn]] void fail(const char* message);
int lane();

/// Memory of the FACE_SHARED array that `key` identifies: the same for all threads of a block.
void* shared_array(const void* key, size_t size);
void* dynamic_shared();
bool in_shared(const void* p, size_t size);

/// cp.async: the copy happens at the cp_async_wait that covers it, as late as hardware may.
void cp_async(void* to, const void* from, uint32_t size, uint32_t valid);
void cp_async_commit();
void cp_async_wait(uint32_t keep_groups);

}  // namespace face::cuda::emu
