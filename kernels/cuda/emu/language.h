// SPDX-License-Identifier: MIT
// kernels/cuda/emu/language.h - CUDA's keywords, vector types and scalar functions for a C++
// compiler.
//
// `__shared__` is left undefined on purpose: kernels declare shared memory with FACE_SHARED and
// FACE_DYNAMIC_SHARED (kernels/cuda/gpu.h), which works with templates and under emulation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct float2 {
  alignas(8) float x;
  float y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct uint3 {
  uint32_t x, y, z;
};
struct dim3 {
  uint32_t x, y, z;
  constexpr dim3(uint32_t a = 1, uint32_t b = 1, uint32_t c = 1) : x(a), y(b), z(c) {}
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

// Set by the scheduler whenever it switches to another simulated thread.
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

using std::max;
using std::min;

inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<uint32_t>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline uint32_t __float_as_uint(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float __uint_as_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
template <typename T>
inline T __ldg(const T* p) {
  return *p;
}

// Blocks and their threads run one at a time (block.h), so that a load and a store are one step;
// race detectors see that they are meant to be.
template <typename T, typename Change>
inline T face_emu_atomic(T* p, Change change) {
  T old;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  T changed = change(old);
  __atomic_store(p, &changed, __ATOMIC_RELAXED);
  return old;
}
template <typename T, typename V>
inline T atomicAdd(T* p, V v) {
  return face_emu_atomic(p, [v](T old) { return static_cast<T>(old + static_cast<T>(v)); });
}
template <typename T, typename V>
inline T atomicMax(T* p, V v) {
  return face_emu_atomic(p, [v](T old) { return std::max(old, static_cast<T>(v)); });
}
template <typename T, typename V>
inline T atomicOr(T* p, V v) {
  return face_emu_atomic(p, [v](T old) { return static_cast<T>(old | static_cast<T>(v)); });
}

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
