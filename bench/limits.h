// SPDX-License-Identifier: MIT
// bench/limits.h - counters that every microbenchmark prints: work, bytes, share of the limit.
#pragma once

#include <benchmark/benchmark.h>

namespace face::bench {

/// What the machine's cores and memory reach with `threads` threads.
struct Limits {
  double gflops = 0;  // fma_peak_gflops()
  double gbs = 0;     // memory_bandwidth_gbs()
};

/// Measured at the first call for this number of threads. Threads: call from one.
[[nodiscard]] const Limits& limits_of(int threads);

/// What one iteration has to do at least: float operations, and bytes that it must read or write
/// once (inputs, weights, outputs).
struct Work {
  double flop = 0;
  double bytes = 0;
};

/// Counters of one benchmark: FLOP and bytes of an iteration, GFLOP/s, GB/s, and of_limit: the time
/// that the slower of arithmetic and memory would take at its peak, as a share of the time taken.
/// It can pass 1: Winograd needs fewer operations than `flop` says, caches are faster than memory.
void report(benchmark::State& state, const Work& work, int threads);

/// Prints the limits of one and two threads into the head of the results.
void add_limits_to_context();

}  // namespace face::bench
