// SPDX-License-Identifier: MIT
// kernels/cpu/conv_depthwise_inl.h - depthwise convolution of a part of a row.
#pragma once

#include "kernels/cpu/conv_epilogue_inl.h"
#include "kernels/cpu/conv_pixels_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

/// The taps of a window that lie inside the image.
struct Taps {
  int y_begin, y_end, x_begin, x_end;
};

FACE_INLINE Taps taps_at(const DepthwiseRow& a, int y0, int x0) {
  Taps t{0, a.kernel_h, 0, a.kernel_w};
  if (y0 < 0) t.y_begin = -y0;
  if (x0 < 0) t.x_begin = -x0;
  if (y0 + a.kernel_h > a.in_height) t.y_end = a.in_height - y0;
  if (x0 + a.kernel_w > a.in_width) t.x_end = a.in_width - x0;
  return t;
}

/// One output pixel, any kernel, any border.
template <EpilogueKind kKind>
void depthwise_pixel(const DepthwiseRow& a, int x) {
  const int y0 = a.y * a.stride - a.pad_top, x0 = x * a.stride - a.pad_left;
  const Taps t = taps_at(a, y0, x0);
  const int channels = a.epilogue.channels;
  const PixelSources sources = pixel_sources(a.epilogue, a.image, a.y, x);
  for_lanes<kWidth>(0, channels, [&]<int kLanes>(int c) {
    Vec<kLanes> sum{};
    for (int ky = t.y_begin; ky < t.y_end; ++ky) {
      const size_t row = static_cast<size_t>(y0 + ky) * a.in_width;
      for (int kx = t.x_begin; kx < t.x_end; ++kx) {
        sum += load<kLanes>(a.input + (row + x0 + kx) * channels + c) *
               load<kLanes>(a.weights + (ky * a.kernel_w + kx) * channels + c);
      }
    }
    store(a.output + static_cast<size_t>(x - a.x_begin) * channels + c,
          finish<kKind, kLanes>(sum, a.epilogue, sources, c));
  });
}

/// Columns under the windows of `count` neighbours.
constexpr int window_columns(int count, int stride) { return (count - 1) * stride + 3; }

/// Adds one vector of channels of the windows of kCount neighbours, times its weights, to their
/// sums. `weight(tap)` gives the vector of weights of a tap.
template <int kStride, int kCount, int kLanes, typename Windows, typename Weight>
FACE_INLINE void add_products(const Windows& windows, const Weight& weight, int channel,
                              Vec<kLanes> (&sum)[kCount]) {
  constexpr int kColumns = window_columns(kCount, kStride);
#pragma GCC unroll 3
  for (int ky = 0; ky < 3; ++ky) {
    const Vec<kLanes> w[3] = {weight(3 * ky), weight(3 * ky + 1), weight(3 * ky + 2)};
#pragma GCC unroll 16
    for (int column = 0; column < kColumns; ++column) {
      const Vec<kLanes> value = load<kLanes>(windows.at(ky, column) + channel);
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        const int kx = column - i * kStride;
        if (kx >= 0 && kx < 3) sum[i] += value * w[kx];
      }
    }
  }
}

/// Most neighbours that are computed together: their sums hide the latency of multiply-adds, and
/// the pixels under them, at distances of a power of two, have to share a few sets of the cache.
template <int kStride>
constexpr int kNeighbours = kStride == 1 ? 8 : 4;

/// kCount neighbours from column x on, whatever lies around them.
template <EpilogueKind kKind, int kStride, int kCount>
void depthwise_neighbours(const DepthwiseRow& row, int x) {
  const DepthwiseRow a = row;  // which stores of outputs cannot change
  const auto windows = border_pixels<3, window_columns(kCount, kStride)>(
      a.input, a.zeros, a.in_height, a.in_width, a.epilogue.channels, a.y * kStride - a.pad_top,
      x * kStride - a.pad_left);
  const bool is_uniform = uniform(a.epilogue);
  PixelSources sources[kCount];
  for (int i = 0; i < kCount; ++i) sources[i] = pixel_sources(a.epilogue, a.image, a.y, x + i);
  const size_t channels = a.epilogue.channels;
  float* out = a.output + (x - a.x_begin) * channels;
  for_lanes<kWidth>(0, a.epilogue.channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    const auto weight = [&](int tap) FACE_LAMBDA_INLINE {
      return load<kLanes>(a.weights + tap * channels + c);
    };
    const Activation<kKind, kLanes> activation(a.epilogue, c);
    const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + c);
    Vec<kLanes> sum[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) sum[i] = is_uniform ? bias : begin_sum<kLanes>(sources[i], c);
    add_products<kStride, kCount, kLanes>(windows, weight, c, sum);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) store(out + i * channels + c, activation(sum[i]));
  });
}

template <EpilogueKind kKind, int kStride, int kCount = kNeighbours<kStride>>
void pick_neighbours(const DepthwiseRow& a, int x, int count) {
  if constexpr (kCount > 0) {
    if (count == kCount) return depthwise_neighbours<kKind, kStride, kCount>(a, x);
    pick_neighbours<kKind, kStride, kCount - 1>(a, x, count);
  }
}

/// Neighbours that depthwise_inner() computes together: fewer, for nine weights stay in registers.
template <int kStride>
constexpr int kInnerNeighbours = kStride == 1 ? 5 : 3;

/// `groups` times kInnerNeighbours neighbours from column x on, whose windows lie inside the image,
/// with the same bias and no addend: one vector of channels after the other.
template <EpilogueKind kKind, int kStride>
void depthwise_inner(const DepthwiseRow& a, int x, int groups) {
  constexpr int kCount = kInnerNeighbours<kStride>;
  const size_t channels = a.epilogue.channels, row = a.in_width * channels;
  const float* corner =
      a.input + (a.y * kStride - a.pad_top) * row + (x * kStride - a.pad_left) * channels;
  for_lanes<kWidth>(0, a.epilogue.channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    const Activation<kKind, kLanes> activation(a.epilogue, c);
    const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + c);
    Vec<kLanes> weights[9];
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) weights[tap] = load<kLanes>(a.weights + tap * channels + c);
    const auto weight = [&](int tap) FACE_LAMBDA_INLINE { return weights[tap]; };
    InnerPixels<float> windows{corner + c, row, channels};
    float* out = a.output + (x - a.x_begin) * channels + c;
    for (int group = 0; group < groups; ++group, out += kCount * channels) {
      Vec<kLanes> sum[kCount];
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) sum[i] = bias;
      add_products<kStride, kCount, kLanes>(windows, weight, 0, sum);
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) store(out + i * channels, activation(sum[i]));
      windows.origin += kCount * kStride * channels;
    }
  });
}

/// Groups from column x on that depthwise_inner() should take: as many as keep their windows in the
/// first-level cache until the last vector of channels has passed. 0 if those are too few to pay
/// for what each vector of channels prepares.
template <int kStride>
int inner_groups(const DepthwiseRow& a, int x) {
  constexpr int kFewest = 4;
  constexpr int kCacheFloats = 5 * 1024, kColumns = kStride * kInnerNeighbours<kStride>;
  const int y0 = a.y * kStride - a.pad_top, x0 = x * kStride - a.pad_left;
  if (y0 < 0 || y0 + 3 > a.in_height || x0 < 0 || !uniform(a.epilogue)) return 0;
  const int inside = (a.in_width - x0 - 3) / kStride + 1, left = a.x_end - x;
  const int fitting = (inside < left ? inside : left) / kInnerNeighbours<kStride>;
  const int cached = kCacheFloats / (3 * a.epilogue.channels * kColumns);
  const int groups = fitting < cached ? fitting : cached;
  return groups >= kFewest ? groups : 0;
}

/// Neighbours to take from column x on if there is no inner group: one if those may begin behind
/// it, else a part of the columns left.
template <int kStride>
int neighbours(const DepthwiseRow& a, int x) {
  if (inner_groups<kStride>(a, x + 1) > 0) return 1;
  const int left = a.x_end - x;
  const int parts = (left + kNeighbours<kStride> - 1) / kNeighbours<kStride>;
  return (left + parts - 1) / parts;
}

template <EpilogueKind kKind, int kStride>
void depthwise_row_3x3(const DepthwiseRow& a) {
  for (int x = a.x_begin; x < a.x_end;) {
    const int groups = inner_groups<kStride>(a, x);
    if (groups > 0) {
      depthwise_inner<kKind, kStride>(a, x, groups);
      x += groups * kInnerNeighbours<kStride>;
    } else {
      const int count = neighbours<kStride>(a, x);
      pick_neighbours<kKind, kStride>(a, x, count);
      x += count;
    }
  }
}

inline void depthwise_row(const DepthwiseRow& a) {
  with_kind(a.epilogue.kind, [&]<EpilogueKind kKind>() {
    const bool is_3x3 = a.kernel_h == 3 && a.kernel_w == 3;
    if (is_3x3 && a.stride == 1) return depthwise_row_3x3<kKind, 1>(a);
    if (is_3x3 && a.stride == 2) return depthwise_row_3x3<kKind, 2>(a);
    for (int x = a.x_begin; x < a.x_end; ++x) depthwise_pixel<kKind>(a, x);
  });
}

}  // namespace face::cpu::FACE_CONV_ISA
