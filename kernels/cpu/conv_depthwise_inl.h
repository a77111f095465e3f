// SPDX-License-Identifier: MIT
// kernels/cpu/conv_depthwise_inl.h - depthwise convolution of a part of a row.
#pragma once

#include "kernels/cpu/conv_epilogue_inl.h"
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

/// kCount neighbours of a 3x3 convolution whose windows lie inside the image's columns.
template <EpilogueKind kKind, int kStride, int kCount>
void depthwise_3x3(const DepthwiseRow& a, int x) {
  constexpr int kColumns = (kCount - 1) * kStride + 3;
  const int y0 = a.y * a.stride - a.pad_top, x0 = x * kStride - a.pad_left;
  const Taps t = taps_at(a, y0, x0);
  const int channels = a.epilogue.channels;
  PixelSources sources[kCount];
  for (int i = 0; i < kCount; ++i) sources[i] = pixel_sources(a.epilogue, a.image, a.y, x + i);
  for_lanes<kWidth>(0, channels, [&]<int kLanes>(int c) {
    Vec<kLanes> sum[kCount] = {};
    for (int ky = t.y_begin; ky < t.y_end; ++ky) {
      const float* in = a.input + (static_cast<size_t>(y0 + ky) * a.in_width + x0) * channels + c;
      const float* w = a.weights + ky * 3 * channels + c;
      const Vec<kLanes> weights[3] = {load<kLanes>(w), load<kLanes>(w + channels),
                                      load<kLanes>(w + 2 * channels)};
#pragma GCC unroll 9
      for (int column = 0; column < kColumns; ++column) {
        const Vec<kLanes> value = load<kLanes>(in + static_cast<size_t>(column) * channels);
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
          const int kx = column - i * kStride;
          if (kx >= 0 && kx < 3) sum[i] += value * weights[kx];
        }
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      store(a.output + static_cast<size_t>(x - a.x_begin + i) * channels + c,
            finish<kKind, kLanes>(sum[i], a.epilogue, sources[i], c));
    }
  });
}

/// kCount neighbours, one vector of channels, `w` in registers; `in` is the first window's corner.
template <EpilogueKind kKind, int kStride, int kCount, int kLanes>
FACE_INLINE void depthwise_vector(const DepthwiseRow& a, const Vec<kLanes> (&w)[9],
                                  Vec<kLanes> bias, const float* in, float* out, int channel) {
  constexpr int kColumns = (kCount - 1) * kStride + 3;
  const size_t channels = a.epilogue.channels, row = a.in_width * channels;
  Vec<kLanes> sum[kCount] = {};
#pragma GCC unroll 3
  for (int ky = 0; ky < 3; ++ky) {
#pragma GCC unroll 9
    for (int column = 0; column < kColumns; ++column) {
      const Vec<kLanes> value = load<kLanes>(in + ky * row + column * channels);
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        const int kx = column - i * kStride;
        if (kx >= 0 && kx < 3) sum[i] += value * w[3 * ky + kx];
      }
    }
  }
  const Activation<kKind, kLanes> activation(a.epilogue, channel);
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) store(out + i * channels, activation(sum[i] + bias));
}

/// Columns [begin, end) of a 3x3 convolution, all of whose windows lie inside the image.
template <EpilogueKind kKind, int kStride>
void depthwise_inner(const DepthwiseRow& a, int begin, int end) {
  const size_t channels = a.epilogue.channels;
  const size_t y0 = a.y * a.stride - a.pad_top, x0 = begin * kStride - a.pad_left;
  for_lanes<kWidth>(0, a.epilogue.channels, [&]<int kLanes>(int c) {
    Vec<kLanes> w[9];
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) w[tap] = load<kLanes>(a.weights + tap * channels + c);
    const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + c);
    const float* in = a.input + (y0 * a.in_width + x0) * channels + c;
    float* out = a.output + (begin - a.x_begin) * channels + c;
    int x = begin;
    for (; x + 4 <= end; x += 4, in += 4 * kStride * channels, out += 4 * channels)
      depthwise_vector<kKind, kStride, 4, kLanes>(a, w, bias, in, out, c);
    for (; x < end; ++x, in += kStride * channels, out += channels)
      depthwise_vector<kKind, kStride, 1, kLanes>(a, w, bias, in, out, c);
  });
}

/// Columns, a multiple of 4, whose windows stay in the first-level cache from the first vector of
/// channels to the last: a line of several vectors would else be fetched for each of them.
template <int kStride>
FACE_INLINE int cached_columns(int channels) {
  constexpr int kLineFloats = 16, kCacheFloats = 5 * 1024;
  if (kWidth >= kLineFloats) return 1 << 20;  // whole rows, whose weights are loaded once
  const int columns = (kCacheFloats / (3 * channels) - 2) / kStride / 4 * 4;
  return columns < 4 ? 4 : columns;
}

template <EpilogueKind kKind, int kStride>
void depthwise_row_3x3(const DepthwiseRow& a) {
  const int inner_end = a.inner_end < a.x_end ? a.inner_end : a.x_end;
  int x = a.x_begin;
  for (; x < a.x_end && x < a.inner_begin; ++x) depthwise_pixel<kKind>(a, x);
  const Taps taps = taps_at(a, a.y * kStride - a.pad_top, 0);
  if (x < inner_end && taps.y_begin == 0 && taps.y_end == 3 && uniform(a.epilogue)) {
    const int columns = cached_columns<kStride>(a.epilogue.channels);
    for (int end; x < inner_end; x = end) {
      end = inner_end - x < columns + columns / 2 ? inner_end : x + columns;
      depthwise_inner<kKind, kStride>(a, x, end);
    }
  }
  for (; x + 4 <= inner_end; x += 4) depthwise_3x3<kKind, kStride, 4>(a, x);
  for (; x < inner_end; ++x) depthwise_3x3<kKind, kStride, 1>(a, x);
  for (; x < a.x_end; ++x) depthwise_pixel<kKind>(a, x);
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
