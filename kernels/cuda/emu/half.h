// SPDX-License-Identifier: MIT
// kernels/cuda/emu/half.h - the part of cuda_fp16.h that the kernels use.
#pragma once

#include <cmath>

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

/// The half next to `exact`, rounded once: between two floats the odd one is taken, which has more
/// bits than a half and lies on the side of every tie that `exact` lies on.
inline __half half_from_double(double exact) {
  const auto nearest = static_cast<float>(exact);
  uint32_t bits = __float_as_uint(nearest);
  if (nearest != exact) bits = (bits - (std::abs(nearest) > std::abs(exact) ? 1 : 0)) | 1;
  return {half_from_float(__uint_as_float(bits))};
}
/// a * b + c, rounded once: the product is exact in double, and so is a sum that could be a tie.
inline __half fma_half(__half a, __half b, __half c) {
  const float* value = half_values();
  return half_from_double(double(value[a.bits]) * value[b.bits] + value[c.bits]);
}
}  // namespace face::cuda::emu

inline float __half2float(__half h) { return face::cuda::emu::half_values()[h.bits]; }
inline __half __float2half_rn(float f) { return {face::half_from_float(f)}; }
inline float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }
inline __half2 __floats2half2_rn(float a, float b) {
  return {__float2half_rn(a), __float2half_rn(b)};
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  return {face::cuda::emu::fma_half(a.x, b.x, c.x), face::cuda::emu::fma_half(a.y, b.y, c.y)};
}

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
