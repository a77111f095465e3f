// SPDX-License-Identifier: MIT
// kernels/math/half.h - IEEE 754 binary16 on the host: 1 sign, 5 exponent, 10 mantissa bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace face {

constexpr float kHalfMax = 65504.f;

/// Round to nearest even; beyond kHalfMax (from 65520 on) infinity; NaN stays NaN.
inline uint16_t half_from_float(float value) {
  uint32_t u;
  std::memcpy(&u, &value, 4);
  const uint32_t sign = (u >> 16) & 0x8000u;
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (u >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (u < 0x38800000u) {  // subnormal: the adder rounds when 2^-24 is lined up with bit 0 of 0.5f
    float magnitude;
    std::memcpy(&magnitude, &u, 4);
    magnitude += 0.5f;
    std::memcpy(&u, &magnitude, 4);
    return static_cast<uint16_t>(sign | (u - 0x3f000000u));
  }
  u += 0xc8000fffu + ((u >> 13) & 1u);  // exponent bias 127 -> 15, and half an ulp
  return static_cast<uint16_t>(sign | (u >> 13));
}

inline float float_from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  uint32_t u;
  if (magnitude >= 0x7c00u) {
    u = sign | 0x7f800000u | (magnitude & 0x3ffu) << 13;
  } else if (magnitude < 0x400u) {  // a multiple of 2^-24
    const float value = static_cast<float>(magnitude) * 5.9604644775390625e-8f;
    std::memcpy(&u, &value, 4);
    u |= sign;
  } else {
    u = sign | ((magnitude << 13) + 0x38000000u);
  }
  float value;
  std::memcpy(&value, &u, 4);
  return value;
}

}  // namespace face
