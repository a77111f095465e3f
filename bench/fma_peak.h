// SPDX-License-Identifier: MIT
// bench/fma_peak.h - what the cores' fused multiply-add units reach, to hold kernels against.
#pragma once

#include "kernels/cpu/conv.h"

namespace face::bench {

/// GFLOP/s of `threads` threads that do nothing but multiply and add numbers of `precision` in
/// registers, the best of several short runs; with the widest vectors that the convolution kernels
/// use on this CPU, or with its matrix unit.
[[nodiscard]] double fma_peak_gflops(int threads,
                                     cpu::ConvPrecision precision = cpu::ConvPrecision::kFp32);

}  // namespace face::bench
