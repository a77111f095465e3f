// SPDX-License-Identifier: MIT
// Convolution without tensor cores: any groups and kernel, float or half, float32 sums, products in
// float32 or in pairs of halves. For devices before sm_75, for float32, and for groups that
// conv_mma does not take.
#include <type_traits>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/tensor.cuh"

namespace face::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kPixels = 64, kColumns = 32, kRows = 16;  // tile of a block, and of one step
static_assert(kRows % kHalf2Chunk == 0, "a step is whole chunks");

__device__ __forceinline__ float to_f32(float v) { return v; }
__device__ __forceinline__ float to_f32(__half v) { return __half2float(v); }
__device__ __forceinline__ void from_f32(float v, float* p) { *p = v; }
__device__ __forceinline__ void from_f32(float v, __half* p) { *p = __float2half_rn(v); }

// ---- kernels ----

/// Output pixel `index` of all images.
struct Pixel {
  int n, y, x;
};
__device__ __forceinline__ Pixel pixel_of(const OpParams& p, int index) {
  return {index / (p.out_h * p.out_w), index / p.out_w % p.out_h, index % p.out_w};
}

/// The depth of a sum consists of units: S in memory, `Value` where it is multiplied. kBlocks
/// blocks share a multiprocessor: left alone, ptxas wants nine on sm_100 and spills.
template <typename S>
struct Unit;
template <>
struct Unit<float> {
  using Value = float;
  using Element = float;
  static constexpr int kChannels = 1, kBlocks = 6;
};
template <>
struct Unit<__half> {
  using Value = float;
  using Element = __half;
  static constexpr int kChannels = 1, kBlocks = 6;
};
template <>
struct Unit<__half2> {
  using Value = __half2;
  using Element = __half;
  static constexpr int kChannels = 2, kBlocks = 5;
};
__device__ __forceinline__ float to_value(float v) { return v; }
__device__ __forceinline__ float to_value(__half v) { return __half2float(v); }
__device__ __forceinline__ __half2 to_value(__half2 v) { return v; }

/// A row of the depth: a tap, and a unit of the group's channels.
struct Row {
  int ky, kx, unit;
};
__device__ __forceinline__ Row row_of(const OpParams& p, int units, int index) {
  const int tap = index / units;
  return {tap / p.kernel_w, tap % p.kernel_w, index % units};
}
__device__ __forceinline__ void advance(const OpParams& p, int units, int rows, Row& row) {
  for (row.unit += rows; row.unit >= units; row.unit -= units)
    if (++row.kx == p.kernel_w) row.kx = 0, ++row.ky;
}

/// Input of a row at an output pixel; `first` is the group's first unit.
template <typename S>
__device__ __forceinline__ typename Unit<S>::Value input_at(const OpParams& p, const Pixel& at,
                                                            int first, const Row& row) {
  const int y = at.y * p.stride_h - p.pad_top + row.ky;
  const int x = at.x * p.stride_w - p.pad_left + row.kx;
  if (y < 0 || x < 0 || y >= p.in_h || x >= p.in_w) return {};
  const size_t pixel = (size_t(at.n) * p.in_h + y) * p.in_w + x;
  const int stride = padded(p.in_c) / Unit<S>::kChannels;
  return to_value(static_cast<const S*>(p.in)[pixel * stride + first + row.unit]);
}

/// Adds a step's products to a thread's 4 pixels x 4 channels.
__device__ __forceinline__ void add_products(const float (&a)[kRows][kPixels],
                                             const float (&b)[kRows][kColumns], int pixel,
                                             int column, float (&sum)[4][4]) {
  for (int k = 0; k < kRows; ++k) FACE_UNROLL
  for (int i = 0; i < 4; ++i) FACE_UNROLL
  for (int j = 0; j < 4; ++j) sum[i][j] += a[k][pixel + i] * b[k][column + j];
}
__device__ __forceinline__ void add_products(const __half2 (&a)[kRows][kPixels],
                                             const __half2 (&b)[kRows][kColumns], int pixel,
                                             int column, float (&sum)[4][4]) {
  for (int chunk = 0; chunk < kRows; chunk += kHalf2Chunk) {
    __half2 part[4][4] = {};
    FACE_UNROLL
    for (int k = chunk; k < chunk + kHalf2Chunk; ++k) FACE_UNROLL
    for (int i = 0; i < 4; ++i) FACE_UNROLL
    for (int j = 0; j < 4; ++j) part[i][j] = __hfma2(a[k][pixel + i], b[k][column + j], part[i][j]);
    FACE_UNROLL
    for (int i = 0; i < 4; ++i) FACE_UNROLL
    for (int j = 0; j < 4; ++j) {
      const float2 lanes = __half22float2(part[i][j]);
      sum[i][j] += lanes.x + lanes.y;
    }
  }
}

/// Of chunks of halves an infinite one overflowed: a ReLU must not make it a zero.
template <typename Value>
__device__ __forceinline__ float nan_if_infinite(float sum) {
  return std::is_same_v<Value, __half2> ? 0.f * sum + sum : sum;
}

/// One result: as finish(), but of one channel, since groups need not be aligned.
template <typename T>
__device__ __forceinline__ void finish_one(const OpParams& p, float sum, int split, const Pixel& at,
                                           int channel) {
  const int stride = padded(p.out_c);
  const size_t pixel = (size_t(at.n) * p.out_h + at.y) * p.out_w + at.x;
  if (p.partial != nullptr) {
    p.partial[(size_t(split) * p.batch * p.out_h * p.out_w + pixel) * stride + channel] = sum;
    return;
  }
  if (p.bias != nullptr) {
    const int row =
        p.border_bias
            ? border_bias_row(border_class(at.y, p.stride_h, p.pad_top, p.kernel_h, p.in_h),
                              border_class(at.x, p.stride_w, p.pad_left, p.kernel_w, p.in_w))
            : 0;
    sum += p.bias[row * stride + channel];
  }
  if (p.addend != nullptr) {
    const int s = p.addend_upsampled ? 1 : 0;
    const size_t source =
        (size_t(at.n) * (p.out_h >> s) + (at.y >> s)) * (p.out_w >> s) + (at.x >> s);
    sum += to_f32(static_cast<const T*>(p.addend)[source * stride + channel]);
  }
  from_f32(activate(p, sum, channel), static_cast<T*>(p.out) + pixel * stride + channel);
}

/// Grid: pixels, columns of all groups, splits of the depth. Each thread: 4 pixels x 4 channels.
template <typename S>
__global__ void __launch_bounds__(kThreads, Unit<S>::kBlocks) conv_simt_kernel(const OpParams p) {
  using T = typename Unit<S>::Element;
  using Value = typename Unit<S>::Value;
  FACE_SHARED(Value, a, [kRows][kPixels]);
  FACE_SHARED(Value, b, [kRows][kColumns]);
  const int out = p.out_c / p.groups, blocks_n = ceil_div(out, kColumns);
  const int group = static_cast<int>(blockIdx.y) / blocks_n;
  const int column0 = static_cast<int>(blockIdx.y) % blocks_n * kColumns;
  const int columns = blocks_n * kColumns;
  const int units = ceil_div(p.in_c / p.groups, Unit<S>::kChannels);
  const int depth = p.kernel_h * p.kernel_w * units;
  const int per_split = ceil_div(ceil_div(depth, p.splits), kRows) * kRows;
  const int k_begin = static_cast<int>(blockIdx.z) * per_split;
  const int k_end = min(depth, k_begin + per_split);
  const S* weights = static_cast<const S*>(p.weights) + size_t(group) * depth * columns + column0;

  const int thread = threadIdx.x, total = p.batch * p.out_h * p.out_w;
  const int load_index = static_cast<int>(blockIdx.x) * kPixels + thread % kPixels;
  const Pixel load_at = pixel_of(p, load_index < total ? load_index : 0);
  const int my_pixel = thread / 8 * 4, my_column = thread % 8 * 4;
  Row load_row = row_of(p, units, k_begin + thread / kPixels);
  float sum[4][4] = {};
  for (int k0 = k_begin; k0 < k_end; k0 += kRows) {
    __syncthreads();  // the tiles of the step before are read
    for (int k = thread / kPixels; k < kRows; k += kThreads / kPixels) {
      const bool real = load_index < total && k0 + k < k_end;
      a[k][thread % kPixels] = real ? input_at<S>(p, load_at, group * units, load_row) : Value{};
      advance(p, units, kThreads / kPixels, load_row);
    }
    for (int i = thread; i < kRows * kColumns; i += kThreads) {
      const int k = k0 + i / kColumns;
      b[i / kColumns][i % kColumns] =
          k < k_end ? to_value(weights[size_t(k) * columns + i % kColumns]) : Value{};
    }
    __syncthreads();
    add_products(a, b, my_pixel, my_column, sum);
  }
  FACE_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int index = static_cast<int>(blockIdx.x) * kPixels + my_pixel + i;
    if (index >= total) continue;
    const Pixel at = pixel_of(p, index);
    FACE_UNROLL
    for (int j = 0; j < 4; ++j)
      if (column0 + my_column + j < out)
        finish_one<T>(p, nan_if_infinite<Value>(sum[i][j]), static_cast<int>(blockIdx.z), at,
                      group * out + column0 + my_column + j);
  }
  // Padding channels, once: the last block of columns.
  if (blockIdx.y + 1 != gridDim.y || p.partial != nullptr) return;
  for (int i = thread; i < kPixels * kChannelPad; i += kThreads) {
    const int index = static_cast<int>(blockIdx.x) * kPixels + i / kChannelPad;
    const int channel = p.out_c + i % kChannelPad;
    if (index < total && channel < padded(p.out_c))
      from_f32(0.f, static_cast<T*>(p.out) + size_t(index) * padded(p.out_c) + channel);
  }
}

/// One thread: a pixel and 8 channels.
template <typename T>
__global__ void __launch_bounds__(kThreads) conv_depthwise_kernel(const OpParams p) {
  const int stride = padded(p.out_c), units = stride / 8;
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.batch * p.out_h * p.out_w * units) return;
  const int channel = i % units * 8;
  const Pixel at = pixel_of(p, i / units);
  float sum[8] = {};
  for (int ky = 0; ky < p.kernel_h; ++ky)
    for (int kx = 0; kx < p.kernel_w; ++kx) {
      const int y = at.y * p.stride_h - p.pad_top + ky, x = at.x * p.stride_w - p.pad_left + kx;
      if (y < 0 || x < 0 || y >= p.in_h || x >= p.in_w) continue;
      float v[8], w[8];
      load(static_cast<const T*>(p.in) + ((size_t(at.n) * p.in_h + y) * p.in_w + x) * stride +
               channel,
           v);
      load(static_cast<const float*>(p.weights) + (ky * p.kernel_w + kx) * stride + channel, w);
      FACE_UNROLL
      for (int c = 0; c < 8; ++c) sum[c] += v[c] * w[c];
    }
  finish<T>(p, sum, at.n, at.y, at.x, channel);
}

/// Sums the splits. One thread: a pixel and 4 channels.
template <typename T>
__global__ void __launch_bounds__(kThreads) finish_split_kernel(const OpParams p) {
  const int stride = padded(p.out_c), units = stride / 4, pixels = p.batch * p.out_h * p.out_w;
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= pixels * units) return;
  const int pixel = i / units, channel = i % units * 4;
  float sum[4] = {};
  for (int s = 0; s < p.splits; ++s) {
    float v[4];
    load(p.partial + (size_t(s) * pixels + pixel) * stride + channel, v);
    FACE_UNROLL
    for (int c = 0; c < 4; ++c) sum[c] += v[c];
  }
  FACE_UNROLL
  for (int c = 0; c < 4; ++c)
    if (channel + c >= p.out_c) sum[c] = 0.f;  // conv_simt leaves the padding unwritten
  const Pixel at = pixel_of(p, pixel);
  finish<T>(p, sum, at.n, at.y, at.x, channel);
}

dim3 blocks_for(int threads) { return dim3(static_cast<unsigned>(ceil_div(threads, kThreads))); }

}  // namespace

// ---- launchers ----

cudaError_t conv_simt(const OpParams& p, ElementType type, Products products, cudaStream_t stream) {
  const int blocks_n = p.groups * ceil_div(p.out_c / p.groups, kColumns);
  const dim3 grid(static_cast<unsigned>(ceil_div(p.batch * p.out_h * p.out_w, kPixels)),
                  static_cast<unsigned>(blocks_n), static_cast<unsigned>(p.splits));
  if (products == Products::kHalf2) {
    if (type != ElementType::kHalf || p.groups != 1) return cudaErrorInvalidValue;
    return launch(conv_simt_kernel<__half2>, grid, kThreads, 0, stream, p);
  }
  return with_type(type, [&](auto tag) {
    return launch(conv_simt_kernel<decltype(tag)>, grid, kThreads, 0, stream, p);
  });
}

cudaError_t conv_depthwise(const OpParams& p, ElementType type, cudaStream_t stream) {
  const int threads = p.batch * p.out_h * p.out_w * (padded(p.out_c) / 8);
  return with_type(type, [&](auto tag) {
    return launch(conv_depthwise_kernel<decltype(tag)>, blocks_for(threads), kThreads, 0, stream,
                  p);
  });
}

cudaError_t finish_split(const OpParams& p, ElementType type, cudaStream_t stream) {
  const int threads = p.batch * p.out_h * p.out_w * (padded(p.out_c) / 4);
  return with_type(type, [&](auto tag) {
    return launch(finish_split_kernel<decltype(tag)>, blocks_for(threads), kThreads, 0, stream, p);
  });
}

}  // namespace face::cuda
