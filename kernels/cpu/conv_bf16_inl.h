// SPDX-License-Identifier: MIT
// kernels/cpu/conv_bf16_inl.h - words of two bfloat16 channels: rounding and products,
// by the CPU's instructions where the build has them, else in software.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <cstdint>

#include "kernels/cpu/conv_simd.h"
#include "kernels/cpu/conv_words_inl.h"

namespace face::cpu::FACE_CONV_ISA {

template <int kLanes>
using Words = typename VectorOf<uint32_t, kLanes>::type;
template <int kLanes>
using Halves = typename VectorOf<uint16_t, kLanes>::type;

/// To nearest, ties to even; a NaN stays one. In the lower half of each lane.
template <typename W>
FACE_INLINE W rounded_bits(W bits) {
  const W nan = (bits >> 16) | 0x40u;
  const W number = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (bits & 0x7fffffffu) > 0x7f800000u ? nan : number;
}

template <int kLanes>
FACE_INLINE void store_rounded(void* words, Vec<kLanes> x) {
  if constexpr (kLanes == 1) {
    const uint32_t bits = rounded_bits(__builtin_bit_cast(uint32_t, x));
    __builtin_memcpy(words, &bits, sizeof(bits));
  } else {
    const Words<kLanes> bits = rounded_bits(__builtin_bit_cast(Words<kLanes>, x));
    const auto halves = __builtin_convertvector(bits, Halves<kLanes>);
    __builtin_memcpy(words, &halves, sizeof(halves));
  }
}

/// kLanes bfloat16 numbers.
template <int kLanes>
FACE_INLINE Vec<kLanes> load_halves(const uint16_t* halves) {
  Halves<kLanes> x;
  __builtin_memcpy(&x, halves, sizeof(x));
  return __builtin_bit_cast(Vec<kLanes>, __builtin_convertvector(x, Words<kLanes>) << 16);
}
template <>
FACE_INLINE float load_halves<1>(const uint16_t* halves) {
  uint16_t x;
  __builtin_memcpy(&x, halves, sizeof(x));
  return __builtin_bit_cast(float, uint32_t{x} << 16);
}

/// sum + the products of both halves of each lane of `w` with those of `x`.
template <int kLanes>
FACE_INLINE Vec<kLanes> dot_halves(Vec<kLanes> sum, Vec<kLanes> w, Vec<kLanes> x) {
  const auto upper = [](Words<kLanes> bits) {
    return __builtin_bit_cast(Vec<kLanes>, bits & 0xffff0000u);
  };
  const auto lower = [](Words<kLanes> bits) { return __builtin_bit_cast(Vec<kLanes>, bits << 16); };
  const auto weights = __builtin_bit_cast(Words<kLanes>, w);
  const auto factors = __builtin_bit_cast(Words<kLanes>, x);
  sum += upper(weights) * upper(factors);
  return sum + lower(weights) * lower(factors);
}

#ifdef __AVX512BF16__
template <>
FACE_INLINE void store_rounded<16>(void* words, Vec<16> x) {
  const auto halves = _mm512_cvtneps_pbh((__m512)x);
  __builtin_memcpy(words, &halves, sizeof(halves));
}
template <>
FACE_INLINE void store_rounded<8>(void* words, Vec<8> x) {
  const auto halves = _mm256_cvtneps_pbh((__m256)x);
  __builtin_memcpy(words, &halves, sizeof(halves));
}
template <>
FACE_INLINE void store_rounded<4>(void* words, Vec<4> x) {
  const auto halves = _mm_cvtneps_pbh((__m128)x);
  __builtin_memcpy(words, &halves, 4 * sizeof(uint16_t));
}
// GCC 12 makes several instructions of each conversion above; without a mask, the intrinsic of 16
// lanes warns (PR 105593).
template <>
FACE_INLINE Vec<16> load_halves<16>(const uint16_t* halves) {
  __m256i x;
  __builtin_memcpy(&x, halves, sizeof(x));
  return (Vec<16>)((Words<16>)_mm512_maskz_cvtepu16_epi32(0xffff, x) << 16);
}
template <>
FACE_INLINE Vec<8> load_halves<8>(const uint16_t* halves) {
  __m128i x;
  __builtin_memcpy(&x, halves, sizeof(x));
  return (Vec<8>)((Words<8>)_mm256_cvtepu16_epi32(x) << 16);
}
template <>
FACE_INLINE Vec<4> load_halves<4>(const uint16_t* halves) {
  __m128i x{};
  __builtin_memcpy(&x, halves, 4 * sizeof(*halves));
  return (Vec<4>)((Words<4>)_mm_cvtepu16_epi32(x) << 16);
}
template <>
FACE_INLINE Vec<16> dot_halves<16>(Vec<16> sum, Vec<16> w, Vec<16> x) {
  return (Vec<16>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)w, (__m512bh)x);
}
template <>
FACE_INLINE Vec<8> dot_halves<8>(Vec<8> sum, Vec<8> w, Vec<8> x) {
  return (Vec<8>)_mm256_dpbf16_ps((__m256)sum, (__m256bh)w, (__m256bh)x);
}
#endif

/// See Fp32Map (conv_words_inl.h).
struct Bf16Map {
  using Element = uint16_t;

  template <int kLanes>
  static FACE_INLINE Vec<kLanes> load(const Element* p) {
    return load_halves<kLanes>(p);
  }
  template <int kLanes>
  static FACE_INLINE void store(Element* p, Vec<kLanes> x) {
    if constexpr (kLanes == 1) {
      const auto half = static_cast<Element>(rounded_bits(__builtin_bit_cast(uint32_t, x)));
      __builtin_memcpy(p, &half, sizeof(half));
    } else {
      store_rounded<kLanes>(p, x);
    }
  }
};

/// See Fp32Words (conv_words_inl.h).
struct Bf16Words {
  static constexpr int kChannels = 2;
  using SmallMap = Bf16Map;

  /// A lone channel is the last one of an odd number: the other half becomes zero.
  template <int kLanes>
  static FACE_INLINE void store(float* words, Vec<kLanes> x) {
    store_rounded<kLanes>(words, x);
  }
  template <int kLanes>
  static FACE_INLINE Vec<kLanes> multiply_add(Vec<kLanes> sum, Vec<kLanes> w, Vec<kLanes> x) {
    return dot_halves<kLanes>(sum, w, x);
  }
};

}  // namespace face::cpu::FACE_CONV_ISA
