// SPDX-License-Identifier: MIT
// bench/fma_peak.h - what the cores' fused multiply-add units reach, to hold kernels against.
#pragma once

namespace face::bench {

/// GFLOP/s of `threads` threads that do nothing but float32 FMA on registers, the best of several
/// short runs; with the widest vectors that the convolution kernels use on this CPU.
[[nodiscard]] double fma_peak_gflops(int threads);

}  // namespace face::bench
