// SPDX-License-Identifier: MIT
// kernels/cpu/conv_words_inl.h - words of one float32 channel each: what the kernels multiply.
#pragma once

#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

/// What the kernels are templated on. Bf16Words (conv_bf16_inl.h) has the same members.
struct Fp32Words {
  static constexpr int kChannels = 1;  // of a word

  /// Puts neighbouring channels into words.
  template <int kLanes>
  static FACE_INLINE void store(float* words, Vec<kLanes> x) {
    FACE_CONV_ISA::store(words, x);
  }
  /// sum + the products of the channels in w and x.
  template <int kLanes>
  static FACE_INLINE Vec<kLanes> multiply_add(Vec<kLanes> sum, Vec<kLanes> w, float x) {
    return sum + w * x;
  }
};

}  // namespace face::cpu::FACE_CONV_ISA
