// SPDX-License-Identifier: MIT
// kernels/cpu/conv_simd.h - float vectors of any width, by the compiler's vector extension.
// Included only by conv_isa.cpp, which is compiled once per instruction set in a namespace of its
// own.
#pragma once

#include <cstddef>

#include "kernels/cpu/conv_plan.h"

#ifndef FACE_CONV_ISA
#error "conv_isa.cpp is compiled with FACE_CONV_ISA (namespace) and FACE_CONV_WIDTH (lanes) defined"
#endif

#define FACE_INLINE inline __attribute__((always_inline))
#define FACE_LAMBDA_INLINE __attribute__((always_inline))

namespace face::cpu::FACE_CONV_ISA {

constexpr int kWidth = FACE_CONV_WIDTH;
constexpr LaneShape kLaneShape{kWidth, kWidth == 16 ? 4 : 3, kWidth == 16};

template <typename T, int kLanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kLanes * sizeof(T))));
};
template <typename T>
struct VectorOf<T, 1> {
  using type = T;
};
template <int kLanes>
using Vec = typename VectorOf<float, kLanes>::type;
template <int kLanes>
using IntVec = typename VectorOf<int, kLanes>::type;

template <int kLanes>
FACE_INLINE Vec<kLanes> load(const float* p) {
  Vec<kLanes> v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
template <typename V>
FACE_INLINE void store(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

template <int kLanes>
FACE_INLINE Vec<kLanes> broadcast(float x) {
  return x - Vec<kLanes>{};  // of any x, -0 and NaN too, exactly x
}
template <int kLanes>
FACE_INLINE Vec<kLanes / 2> lower_half(Vec<kLanes> x) {
  Vec<kLanes / 2> half;
  __builtin_memcpy(&half, &x, sizeof(half));
  return half;
}

/// Size of an array that may have no use.
constexpr int at_least_one(int n) { return n < 1 ? 1 : n; }

/// By the sign bit, so that choosing between vectors needs no comparison: true of -0 and of some
/// NaN.
template <int kLanes>
FACE_INLINE auto is_negative(Vec<kLanes> x) {
  return __builtin_bit_cast(IntVec<kLanes>, x) < 0;
}

/// NaN stays NaN in both: the comparison is false and `x` is the result.
template <typename V>
FACE_INLINE V at_least(V x, V low) {
  return low > x ? low : x;
}
template <typename V>
FACE_INLINE V at_most(V x, V high) {
  return high < x ? high : x;
}

/// The larger one; a NaN wins.
template <typename V>
FACE_INLINE V larger(V a, V b) {
  const V more = b > a ? b : a;
  return b != b ? b : more;
}

/// Calls f.template operator()<lanes>(i) so that [begin, end) is covered once: steps of kLanes,
/// then of half as many, down to one. No access beyond `end`.
template <int kLanes, typename F>
FACE_INLINE void for_lanes(int begin, int end, const F& f) {
  int i = begin;
  for (; i + kLanes <= end; i += kLanes) f.template operator()<kLanes>(i);
  if constexpr (kLanes > 1) {
    if (i < end) for_lanes<kLanes / 2>(i, end, f);
  }
}

}  // namespace face::cpu::FACE_CONV_ISA
