// SPDX-License-Identifier: MIT
// Pools, pointwise operations and changes of layout. One thread: a pixel and 8 channels.
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/tensor.cuh"

namespace face::cuda {
namespace {

constexpr int kThreads = 128;

/// The thread's output pixel and channels.
struct Work {
  int n, y, x, channel;
  bool valid;
};
__device__ __forceinline__ Work my_work(const OpParams& p) {
  const int units = padded(p.out_c) / 8;
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x, pixel = i / units;
  return {pixel / (p.out_h * p.out_w), pixel / p.out_w % p.out_h, pixel % p.out_w, i % units * 8,
          pixel < p.batch * p.out_h * p.out_w};
}

template <typename T>
__device__ __forceinline__ void load_input(const OpParams& p, int n, int y, int x, int channel,
                                           float (&v)[8]) {
  const size_t pixel = (size_t(n) * p.in_h + y) * p.in_w + x;
  load(static_cast<const T*>(p.in) + pixel * padded(p.in_c) + channel, v);
}

// ---- kernels ----

template <typename T>
__global__ void __launch_bounds__(kThreads) max_pool_kernel(const OpParams p) {
  const Work at = my_work(p);
  if (!at.valid) return;
  const int y0 = at.y * p.stride_h - p.pad_top, x0 = at.x * p.stride_w - p.pad_left;
  float best[8];
  FACE_UNROLL
  for (int c = 0; c < 8; ++c) best[c] = -INFINITY;
  for (int y = max(y0, 0); y < min(y0 + p.kernel_h, p.in_h); ++y)
    for (int x = max(x0, 0); x < min(x0 + p.kernel_w, p.in_w); ++x) {
      float v[8];
      load_input<T>(p, at.n, y, x, at.channel, v);
      FACE_UNROLL
      for (int c = 0; c < 8; ++c) best[c] = v[c] > best[c] || v[c] != v[c] ? v[c] : best[c];
    }
  finish<T>(p, best, at.n, at.y, at.x, at.channel);
}

template <typename T>
__global__ void __launch_bounds__(kThreads) average_pool_kernel(const OpParams p) {
  const Work at = my_work(p);
  if (!at.valid) return;
  const int y0 = at.y * p.stride_h - p.pad_top, x0 = at.x * p.stride_w - p.pad_left;
  float sum[8] = {};
  const int y1 = min(y0 + p.kernel_h, p.in_h), x1 = min(x0 + p.kernel_w, p.in_w);
  for (int y = max(y0, 0); y < y1; ++y)
    for (int x = max(x0, 0); x < x1; ++x) {
      float v[8];
      load_input<T>(p, at.n, y, x, at.channel, v);
      FACE_UNROLL
      for (int c = 0; c < 8; ++c) sum[c] += v[c];
    }
  const int count = p.count_include_pad ? (min(y0 + p.kernel_h, p.in_h + p.pad_bottom) - y0) *
                                              (min(x0 + p.kernel_w, p.in_w + p.pad_right) - x0)
                                        : (y1 - max(y0, 0)) * (x1 - max(x0, 0));
  FACE_UNROLL
  for (int c = 0; c < 8; ++c) sum[c] /= static_cast<float>(count);
  finish<T>(p, sum, at.n, at.y, at.x, at.channel);
}

template <typename T>
__global__ void __launch_bounds__(kThreads) pointwise_kernel(const OpParams p) {
  const Work at = my_work(p);
  if (!at.valid) return;
  const int s = p.upsample ? 1 : 0;
  float v[8];
  load_input<T>(p, at.n, at.y >> s, at.x >> s, at.channel, v);
  if (p.weights != nullptr) {
    float w[8];
    load(static_cast<const float*>(p.weights) + at.channel, w);
    FACE_UNROLL
    for (int c = 0; c < 8; ++c) v[c] *= w[c];
  }
  finish<T>(p, v, at.n, at.y, at.x, at.channel);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    from_nchw_kernel(const float* in, T* out, int batch, int pixels, int channels) {
  const int units = padded(channels) / 8;
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  const int index = i / units, channel = i % units * 8;
  if (index >= batch * pixels) return;
  float v[8];
  FACE_UNROLL
  for (int c = 0; c < 8; ++c)
    v[c] = channel + c < channels
               ? in[(size_t(index / pixels) * channels + channel + c) * pixels + index % pixels]
               : 0.f;
  store(out + size_t(index) * padded(channels) + channel, v);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    to_float_kernel(const T* in, float* out, int pixels, int channels) {
  const int units = padded(channels) / 8;
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  const int pixel = i / units, channel = i % units * 8;
  if (pixel >= pixels) return;
  float v[8];
  load(in + size_t(pixel) * padded(channels) + channel, v);
  for (int c = 0; c < 8 && channel + c < channels; ++c)
    out[size_t(pixel) * channels + channel + c] = v[c];
}

dim3 blocks_for(int pixels, int channels) {
  return dim3(static_cast<unsigned>(ceil_div(pixels * (padded(channels) / 8), kThreads)));
}
dim3 blocks_for(const OpParams& p) { return blocks_for(p.batch * p.out_h * p.out_w, p.out_c); }

}  // namespace

// ---- launchers ----

cudaError_t max_pool(const OpParams& p, ElementType type, cudaStream_t stream) {
  return with_type(type, [&](auto tag) {
    return launch(max_pool_kernel<decltype(tag)>, blocks_for(p), kThreads, 0, stream, p);
  });
}

cudaError_t average_pool(const OpParams& p, ElementType type, cudaStream_t stream) {
  return with_type(type, [&](auto tag) {
    return launch(average_pool_kernel<decltype(tag)>, blocks_for(p), kThreads, 0, stream, p);
  });
}

cudaError_t pointwise(const OpParams& p, ElementType type, cudaStream_t stream) {
  return with_type(type, [&](auto tag) {
    return launch(pointwise_kernel<decltype(tag)>, blocks_for(p), kThreads, 0, stream, p);
  });
}

cudaError_t from_nchw(const float* in, void* out, int batch, int h, int w, int channels,
                      ElementType type, cudaStream_t stream) {
  return with_type(type, [&](auto tag) {
    using T = decltype(tag);
    return launch(from_nchw_kernel<T>, blocks_for(batch * h * w, channels), kThreads, 0, stream, in,
                  static_cast<T*>(out), batch, h * w, channels);
  });
}

cudaError_t to_float(const void* in, float* out, int pixels, int channels, ElementType type,
                     cudaStream_t stream) {
  return with_type(type, [&](auto tag) {
    using T = decltype(tag);
    return launch(to_float_kernel<T>, blocks_for(pixels, channels), kThreads, 0, stream,
                  static_cast<const T*>(in), out, pixels, channels);
  });
}

}  // namespace face::cuda
