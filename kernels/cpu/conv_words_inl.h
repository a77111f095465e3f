// SPDX-License-Identifier: MIT
// kernels/cpu/conv_words_inl.h - words of one float32 channel each: what the kernels multiply.
#pragma once

#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

/// How a map lies in memory: pointers to elements, vectors of float32. Bf16Map (conv_bf16_inl.h)
/// has the same members.
struct Fp32Map {
  using Element = float;

  template <int kLanes>
  static FACE_INLINE Vec<kLanes> load(const Element* p) {
    return FACE_CONV_ISA::load<kLanes>(p);
  }
  template <int kLanes>
  static FACE_INLINE void store(Element* p, Vec<kLanes> x) {
    FACE_CONV_ISA::store(p, x);
  }
};

/// Of a map that is passed as floats.
template <typename Map>
FACE_INLINE const typename Map::Element* elements(const float* map) {
  return reinterpret_cast<const typename Map::Element*>(map);
}
template <typename Map>
FACE_INLINE typename Map::Element* elements(float* map) {
  return reinterpret_cast<typename Map::Element*>(map);
}

/// What the kernels are templated on. Bf16Words (conv_bf16_inl.h) has the same members.
struct Fp32Words {
  static constexpr int kChannels = 1;  // of a word
  using SmallMap = Fp32Map;            // the smallest of the maps that kernels read and write

  /// Puts neighbouring channels into words.
  template <int kLanes>
  static FACE_INLINE void store(float* words, Vec<kLanes> x) {
    FACE_CONV_ISA::store(words, x);
  }
  /// sum + the products of the channels in w and x.
  template <int kLanes>
  static FACE_INLINE Vec<kLanes> multiply_add(Vec<kLanes> sum, Vec<kLanes> w, Vec<kLanes> x) {
    return sum + w * x;
  }
};

/// Calls f.template operator()<Map>() for a map of bfloat16, of which kernels of float32 have none,
/// or else of float32.
template <typename Number, typename F>
FACE_INLINE void with_map(bool bf16, const F& f) {
  if constexpr (sizeof(typename Number::SmallMap::Element) < sizeof(float)) {
    if (bf16) return f.template operator()<typename Number::SmallMap>();
  }
  f.template operator()<Fp32Map>();
}

}  // namespace face::cpu::FACE_CONV_ISA
