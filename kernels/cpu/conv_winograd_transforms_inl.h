// SPDX-License-Identifier: MIT
// kernels/cpu/conv_winograd_transforms_inl.h - the one-dimensional transforms of Winograd's F(2,
// 3), F(4, 3) and F(6, 3): matrices by Toom-Cook from the points in conv_plan.h.
#pragma once

#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

/// out = B^T d for kM outputs: kM + 2 values each.
template <int kM, typename V>
FACE_INLINE void input_transform(const V* d, V* out) {
  if constexpr (kM == 2) {
    out[0] = d[2] - d[0];
    out[1] = d[2] + d[1];
    out[2] = d[2] - d[1];
    out[3] = d[3] - d[1];
  } else if constexpr (kM == 4) {
    constexpr float a = kPointA, b = kPointB, a2 = a * a, b2 = b * b;
    const V even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1];
    const V even_b = d[4] - a2 * d[2], odd_b = d[3] - a2 * d[1];
    out[0] = even_b - b2 * (d[2] - a2 * d[0]);
    out[1] = even_a + a * odd_a;
    out[2] = even_a - a * odd_a;
    out[3] = even_b + b * odd_b;
    out[4] = even_b - b * odd_b;
    out[5] = (d[5] - a2 * d[3]) - b2 * odd_b;
  } else {
    static_assert(kM == 6);
    constexpr float a = kPoint6A, b = kPoint6B, c = kPoint6C, a2 = a * a, b2 = b * b, c2 = c * c;
    constexpr float sum = a2 + b2 + c2, pairs = a2 * b2 + a2 * c2 + b2 * c2, all = a2 * b2 * c2;
    // Of the polynomial without the points +-p, whose squares q2 and r2 are the other two.
    const auto points = [&](int i, float p, float q2, float r2) FACE_LAMBDA_INLINE {
      const V even = (d[6] - (q2 + r2) * d[4]) + q2 * r2 * d[2];
      const V odd = (d[5] - (q2 + r2) * d[3]) + q2 * r2 * d[1];
      out[i] = even + p * odd;
      out[i + 1] = even - p * odd;
    };
    out[0] = (d[6] - sum * d[4]) + (pairs * d[2] - all * d[0]);
    points(1, a, b2, c2);
    points(3, b, a2, c2);
    points(5, c, a2, b2);
    out[7] = (d[7] - sum * d[5]) + (pairs * d[3] - all * d[1]);
  }
}

/// out = A^T m: kM values from kM + 2.
template <int kM, typename V>
FACE_INLINE void output_transform(const V* m, V* out) {
  if constexpr (kM == 2) {
    out[0] = m[0] + m[1] + m[2];
    out[1] = m[1] - m[2] + m[3];
  } else if constexpr (kM == 4) {
    constexpr float a = kPointA, b = kPointB;
    const V sum_a = m[1] + m[2], diff_a = m[1] - m[2];
    const V sum_b = m[3] + m[4], diff_b = m[3] - m[4];
    out[0] = m[0] + sum_a + sum_b;
    out[1] = a * diff_a + b * diff_b;
    out[2] = (a * a) * sum_a + (b * b) * sum_b;
    out[3] = m[5] + (a * a * a) * diff_a + (b * b * b) * diff_b;
  } else {
    static_assert(kM == 6);
    constexpr float a = kPoint6A, b = kPoint6B, c = kPoint6C, a2 = a * a, b2 = b * b, c2 = c * c;
    const V sum_a = m[1] + m[2], diff_a = a * (m[1] - m[2]);
    const V sum_b = m[3] + m[4], diff_b = b * (m[3] - m[4]);
    const V sum_c = m[5] + m[6], diff_c = c * (m[5] - m[6]);
    out[0] = (m[0] + sum_a) + (sum_b + sum_c);
    out[1] = diff_a + diff_b + diff_c;
    out[2] = a2 * sum_a + b2 * sum_b + c2 * sum_c;
    out[3] = a2 * diff_a + b2 * diff_b + c2 * diff_c;
    out[4] = (a2 * a2) * sum_a + (b2 * b2) * sum_b + (c2 * c2) * sum_c;
    out[5] = (m[7] + (a2 * a2) * diff_a) + ((b2 * b2) * diff_b + (c2 * c2) * diff_c);
  }
}

}  // namespace face::cpu::FACE_CONV_ISA
