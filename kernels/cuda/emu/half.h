// SPDX-License-Identifier: MIT
// kernels/cuda/emu/half.h - the part of cuda_fp16.h that the kernels use.
#pragma once

#include "kernels/cuda/emu/language.h"
#include "kernels/math/half.h"

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names

struct __half {
  uint16_t bits;
};
struct alignas(4) __half2 {
  __half x, y;
};

namespace face::cuda::emu {
/// The value of each of the 65536 halves.
const float* half_values();
}  // namespace face::cuda::emu

inline float __half2float(__half h) { return face::cuda::emu::half_values()[h.bits]; }
inline __half __float2half_rn(float f) { return {face::half_from_float(f)}; }
inline float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }
inline __half2 __floats2half2_rn(float a, float b) {
  return {__float2half_rn(a), __float2half_rn(b)};
}

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
