// SPDX-License-Identifier: MIT
// bench/fma_peak.cpp - times the FMA loop that comes with the kernels of each instruction set.
#include "bench/fma_peak.h"

#include <algorithm>
#include <chrono>

#include "kernels/cpu/conv_layer.h"

namespace face::bench {

namespace {

/// The best of several runs of `loop` on each of `threads` threads, which does `flop` operations.
template <typename F>
double best_gflops(int threads, double flop, const F& loop) {
  constexpr int kRuns = 60;  // a new thread may share its maker's core for tens of milliseconds
  const cpu::Parallel parallel = cpu::openmp_parallel(threads);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    parallel(threads, [&](int, int) { loop(); });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, flop * threads / time.count() / 1e9);
  }
  return best;
}

double vector_gflops(int threads, cpu::ConvPrecision precision) {
  constexpr int kIterations = 1'000'000;
  const int products = precision == cpu::ConvPrecision::kBf16 ? 2 : 1;  // of a lane
  const cpu::ConvKernels& kernels = cpu::conv_kernels(cpu::best_conv_isa(precision), precision);
  const double flop = 2.0 * products * cpu::kFmaChains * kernels.lanes.width * kIterations;
  return best_gflops(threads, flop, [&] {
    volatile float sink = kernels.fma_loop(kIterations);
    static_cast<void>(sink);
  });
}

double matrix_gflops(int threads) {
  constexpr int kIterations = 50'000;
  const cpu::TileKernels& kernels = cpu::conv_tile_kernels(cpu::ConvIsa::kAmx);
  return best_gflops(threads, cpu::kTileLoopFlop * kIterations,
                     [&] { kernels.fma_loop(kIterations); });
}

}  // namespace

double fma_peak_gflops(int threads, cpu::ConvPrecision precision) {
  if (precision == cpu::ConvPrecision::kBf16 && cpu::has_matrix_unit())
    return matrix_gflops(threads);
  return vector_gflops(threads, precision);
}

}  // namespace face::bench
