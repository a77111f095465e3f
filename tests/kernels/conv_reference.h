// SPDX-License-Identifier: MIT
// tests/kernels/conv_reference.h - one convolution layer in float64, written for reading, with
// random data for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/conv.h"

namespace face::test {

struct ConvCase {
  std::string name;
  cpu::ConvDesc desc;
  int batch = 1;
};

struct Geometry {
  int kernel = 3, stride = 1, pad = 1;
};

/// A dense convolution; the output's size follows.
inline ConvCase conv_case(const std::string& name, int in, int out, int height, int width,
                          int batch = 1, Geometry g = {}) {
  cpu::ConvDesc d;
  d.max_batch = batch;
  d.in_channels = in;
  d.out_channels = out;
  d.in_height = height;
  d.in_width = width;
  d.kernel_h = d.kernel_w = g.kernel;
  d.stride = g.stride;
  d.pad_top = d.pad_left = g.pad;
  d.out_height = (height + 2 * g.pad - g.kernel) / g.stride + 1;
  d.out_width = (width + 2 * g.pad - g.kernel) / g.stride + 1;
  return {name, d, batch};
}

/// Random input, weights and epilogue of a case, and the layer's output in float64.
struct ConvData {
  std::vector<float> weights, bias, slopes, input, addend;
  std::vector<double> expected;

  [[nodiscard]] cpu::ConvWeights layer_weights() const {
    return {weights.data(), bias.empty() ? nullptr : bias.data(), slopes.data()};
  }
};

inline std::vector<float> random_floats(size_t size, std::mt19937& generator, float scale) {
  std::normal_distribution<float> normal(0.f, scale);
  std::vector<float> values(size);
  for (float& v : values) v = normal(generator);
  return values;
}

inline double activate(const cpu::ConvDesc& d, double x, float slope) {
  switch (d.activation) {
    case cpu::ConvActivation::kRelu:
      return x < 0 ? 0 : x;
    case cpu::ConvActivation::kPrelu:
      return x < 0 ? x * slope : x;
    case cpu::ConvActivation::kClip:
      return std::min<double>(std::max<double>(x, d.clip_low), d.clip_high);
    case cpu::ConvActivation::kNone:
      break;
  }
  return x;
}

/// Class of an output coordinate: 0 if the window reaches before the input, 2 if beyond, else 1.
inline int border_class(int out, int in_size, int kernel, int stride, int pad) {
  const int begin = out * stride - pad;
  return begin < 0 ? 0 : begin + kernel > in_size ? 2 : 1;
}

/// The sum of products for output channel `o` at (y, x) of image `n`.
inline double conv_sum(const cpu::ConvDesc& d, const ConvData& data, int n, int y, int x, int o) {
  const int group_in = d.in_channels / d.groups;
  const int first = o / (d.out_channels / d.groups) * group_in;
  double sum = 0;
  for (int ky = 0; ky < d.kernel_h; ++ky) {
    for (int kx = 0; kx < d.kernel_w; ++kx) {
      const int iy = y * d.stride - d.pad_top + ky, ix = x * d.stride - d.pad_left + kx;
      if (iy < 0 || iy >= d.in_height || ix < 0 || ix >= d.in_width) continue;
      const size_t pixel = (static_cast<size_t>(n) * d.in_height + iy) * d.in_width + ix;
      for (int c = 0; c < group_in; ++c) {
        const size_t w = ((static_cast<size_t>(o) * group_in + c) * d.kernel_h + ky) * d.kernel_w;
        sum += static_cast<double>(data.weights[w + kx]) *
               data.input[pixel * d.in_channels + first + c];
      }
    }
  }
  return sum;
}

/// Index into the addend for output pixel (y, x) of image `n`.
inline size_t addend_pixel(const cpu::ConvDesc& d, int n, int y, int x) {
  const int shift = d.addend_upsampled ? 1 : 0;
  const size_t height = d.out_height >> shift, width = d.out_width >> shift;
  return (n * height + (y >> shift)) * width + (x >> shift);
}

inline double reference_pixel(const cpu::ConvDesc& d, const ConvData& data, int n, int y, int x,
                              int o) {
  double sum = conv_sum(d, data, n, y, x, o);
  int row = 0;
  if (d.border_bias) {
    row = 3 * border_class(y, d.in_height, d.kernel_h, d.stride, d.pad_top) +
          border_class(x, d.in_width, d.kernel_w, d.stride, d.pad_left);
  }
  if (!data.bias.empty()) sum += data.bias[static_cast<size_t>(row) * d.out_channels + o];
  if (d.has_addend) sum += data.addend[addend_pixel(d, n, y, x) * d.out_channels + o];
  return activate(d, sum, data.slopes[o]);
}

/// 2x2 maxima of what reference_output() gives without max_pool.
inline std::vector<double> max_pooled(const cpu::ConvDesc& d, const std::vector<double>& map,
                                      int batch) {
  std::vector<double> out;
  const size_t pixel = d.out_channels, row = d.out_width * pixel;
  for (int y = 0; y < batch * d.out_height; y += 2) {
    for (int x = 0; x < d.out_width; x += 2) {
      for (int o = 0; o < d.out_channels; ++o) {
        const double* first = &map[y * row + x * pixel + o];
        out.push_back(std::max({first[0], first[pixel], first[row], first[row + pixel]}));
      }
    }
  }
  return out;
}

inline std::vector<double> reference_output(const cpu::ConvDesc& d, const ConvData& data,
                                            int batch) {
  std::vector<double> out;
  for (int n = 0; n < batch; ++n) {
    for (int y = 0; y < d.out_height; ++y) {
      for (int x = 0; x < d.out_width; ++x) {
        for (int o = 0; o < d.out_channels; ++o) {
          out.push_back(reference_pixel(d, data, n, y, x, o));
        }
      }
    }
  }
  return out;
}

inline ConvData make_conv_data(const ConvCase& c, bool with_bias = true) {
  const cpu::ConvDesc& d = c.desc;
  std::mt19937 generator(7);
  ConvData data;
  const int depth = d.in_channels / d.groups * d.kernel_h * d.kernel_w;
  data.weights = random_floats(static_cast<size_t>(d.out_channels) * depth, generator,
                               1.f / std::sqrt(static_cast<float>(depth)));
  if (with_bias) {
    data.bias =
        random_floats(static_cast<size_t>(d.out_channels) * (d.border_bias ? 9 : 1), generator, 1);
  }
  data.slopes = random_floats(d.out_channels, generator, 0.5f);
  data.input = random_floats(
      static_cast<size_t>(c.batch) * d.in_height * d.in_width * d.in_channels, generator, 1);
  const int shift = d.addend_upsampled ? 2 : 0;
  data.addend = random_floats(
      (static_cast<size_t>(c.batch) * d.out_height * d.out_width * d.out_channels) >> shift,
      generator, 1);
  data.expected = reference_output(d, data, c.batch);
  if (d.max_pool) data.expected = max_pooled(d, data.expected, c.batch);
  return data;
}

/// ||actual - expected|| / ||expected||; NaN if any value is.
inline double relative_l2(const float* actual, const std::vector<double>& expected) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(error / norm);
}

}  // namespace face::test
