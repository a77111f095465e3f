// SPDX-License-Identifier: MIT
// kernels/cuda/tensor.cuh - vectors of channels, and the end that all operations share.
#pragma once

#include <cstring>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ops.h"
#include "kernels/math/border_bias.h"

namespace face::cuda {

FACE_HD constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

__device__ __forceinline__ float2 unpack(uint32_t pair) {
  __half2 h;
  memcpy(&h, &pair, sizeof h);
  return __half22float2(h);
}
__device__ __forceinline__ uint32_t pack(float a, float b) {
  const __half2 h = __floats2half2_rn(a, b);
  uint32_t pair;
  memcpy(&pair, &h, sizeof pair);
  return pair;
}

/// W consecutive channels as float32; W is 2, 4 or 8 and `p` aligned to them (16 bytes at most).
template <int W>
__device__ __forceinline__ void load(const __half* p, float (&v)[W]) {
  uint32_t word[W / 2];
  if constexpr (W == 8) {
    const uint4 q = *reinterpret_cast<const uint4*>(p);
    word[0] = q.x, word[1] = q.y, word[2] = q.z, word[3] = q.w;
  } else if constexpr (W == 4) {
    const uint2 q = *reinterpret_cast<const uint2*>(p);
    word[0] = q.x, word[1] = q.y;
  } else {
    word[0] = *reinterpret_cast<const uint32_t*>(p);
  }
  FACE_UNROLL
  for (int i = 0; i < W / 2; ++i) {
    const float2 f = unpack(word[i]);
    v[2 * i] = f.x;
    v[2 * i + 1] = f.y;
  }
}
template <int W>
__device__ __forceinline__ void load(const float* p, float (&v)[W]) {
  FACE_UNROLL
  for (int i = 0; i < W; i += 2) {
    const float2 f = *reinterpret_cast<const float2*>(p + i);
    v[i] = f.x;
    v[i + 1] = f.y;
  }
}
template <int W>
__device__ __forceinline__ void store(__half* p, const float (&v)[W]) {
  if constexpr (W == 8) {
    *reinterpret_cast<uint4*>(p) =
        make_uint4(pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7]));
  } else if constexpr (W == 4) {
    *reinterpret_cast<uint2*>(p) = make_uint2(pack(v[0], v[1]), pack(v[2], v[3]));
  } else {
    *reinterpret_cast<uint32_t*>(p) = pack(v[0], v[1]);
  }
}
template <int W>
__device__ __forceinline__ void store(float* p, const float (&v)[W]) {
  FACE_UNROLL
  for (int i = 0; i < W; i += 2) *reinterpret_cast<float2*>(p + i) = make_float2(v[i], v[i + 1]);
}

__device__ __forceinline__ float activate(const OpParams& p, float x, int channel) {
  switch (p.activation) {
    case Act::kRelu:
      return x > 0.f || x != x ? x : 0.f;
    case Act::kPrelu:
      return x < 0.f ? x * p.slopes[channel] : x;
    case Act::kClip:
      return x < p.clip_low ? p.clip_low : x > p.clip_high ? p.clip_high : x;
    case Act::kSigmoid:
      return 1.f / (1.f + __expf(-x));
    case Act::kNone:
      break;
  }
  return x;
}

/// Writes activation(sum + bias + addend) of W channels from `channel` on at pixel (n, y, x).
template <typename T, int W>
__device__ __forceinline__ void finish(const OpParams& p, float (&sum)[W], int n, int y, int x,
                                       int channel) {
  const int stride = padded(p.out_c);
  if (channel >= stride) return;
  if (p.bias != nullptr) {
    const int row =
        p.border_bias ? border_bias_row(border_class(y, p.stride_h, p.pad_top, p.kernel_h, p.in_h),
                                        border_class(x, p.stride_w, p.pad_left, p.kernel_w, p.in_w))
                      : 0;
    float bias[W];
    load(p.bias + row * stride + channel, bias);
    FACE_UNROLL
    for (int i = 0; i < W; ++i) sum[i] += bias[i];
  }
  if (p.addend != nullptr) {
    const int s = p.addend_upsampled ? 1 : 0;
    const size_t pixel = (size_t(n) * (p.out_h >> s) + (y >> s)) * (p.out_w >> s) + (x >> s);
    float addend[W];
    load(static_cast<const T*>(p.addend) + pixel * stride + channel, addend);
    FACE_UNROLL
    for (int i = 0; i < W; ++i) sum[i] += addend[i];
  }
  FACE_UNROLL
  for (int i = 0; i < W; ++i)
    sum[i] = channel + i < p.out_c ? activate(p, sum[i], channel + i) : 0.f;
  const size_t pixel = (size_t(n) * p.out_h + y) * p.out_w + x;
  store(static_cast<T*>(p.out) + pixel * stride + channel, sum);
}

/// As finish(), or for split-K into the partial sums of `split`.
template <typename T, int W>
__device__ __forceinline__ void finish_or_part(const OpParams& p, float (&sum)[W], int split, int n,
                                               int y, int x, int channel) {
  const int stride = padded(p.out_c);
  if (p.partial == nullptr) return finish<T>(p, sum, n, y, x, channel);
  if (channel >= stride) return;
  const size_t pixel = ((size_t(split) * p.batch + n) * p.out_h + y) * p.out_w + x;
  store(p.partial + pixel * stride + channel, sum);
}

/// Calls f(type tag) with float{} or __half{}.
template <typename F>
cudaError_t with_type(ElementType type, F f) {
  return type == ElementType::kHalf ? f(__half{}) : f(float{});
}

}  // namespace face::cuda
