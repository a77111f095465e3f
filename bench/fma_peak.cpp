// SPDX-License-Identifier: MIT
// bench/fma_peak.cpp - times the FMA loop that comes with the kernels of each instruction set.
#include "bench/fma_peak.h"

#include <algorithm>
#include <chrono>

#include "kernels/cpu/conv_layer.h"

namespace face::bench {

double fma_peak_gflops(int threads, cpu::ConvPrecision precision) {
  constexpr int kIterations = 1'000'000;
  constexpr int kRuns = 60;  // a new thread may share its maker's core for tens of milliseconds
  const int products = precision == cpu::ConvPrecision::kBf16 ? 2 : 1;  // of a lane
  const cpu::ConvKernels& kernels = cpu::conv_kernels(cpu::best_conv_isa(precision), precision);
  const cpu::Parallel parallel = cpu::openmp_parallel(threads);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    parallel(threads, [&](int, int) {
      volatile float sink = kernels.fma_loop(kIterations);
      static_cast<void>(sink);
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double flop =
        2.0 * products * cpu::kFmaChains * kernels.lanes.width * kIterations * threads;
    best = std::max(best, flop / time.count() / 1e9);
  }
  return best;
}

}  // namespace face::bench
