// SPDX-License-Identifier: MIT
// tests/cuda/conv_problem.h - a convolution with random values and what it must answer, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cuda/ops.h"
#include "kernels/math/half.h"

namespace face::cuda {

struct ConvCase {
  const char* name;
  int batch, size_h, size_w, in, out, kernel, stride, groups = 1;
  bool border = false;
  int addend = 0;  // 1: as large as the output, 2: half as large
  Act activation = Act::kNone;
  int splits = 1;
};

/// A convolution with random values, its operands on the device and what it must answer.
class Problem {
 public:
  Problem(const ConvCase& c, ElementType type) : half_(type == ElementType::kHalf) {
    p.batch = c.batch;
    p.in_h = c.size_h, p.in_w = c.size_w, p.in_c = c.in, p.out_c = c.out;
    p.kernel_h = p.kernel_w = c.kernel;
    p.stride_h = p.stride_w = c.stride;
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = c.kernel / 2;
    p.out_h = (c.size_h + 2 * p.pad_top - c.kernel) / c.stride + 1;
    p.out_w = (c.size_w + 2 * p.pad_left - c.kernel) / c.stride + 1;
    p.groups = c.groups;
    p.border_bias = c.border;
    p.addend_upsampled = c.addend == 2;
    p.activation = c.activation;
    p.clip_low = -0.25f, p.clip_high = 0.5f;
    p.splits = c.splits;
    input = activations(c.batch * c.size_h * c.size_w, c.in);
    const int fan_in = c.in / c.groups * c.kernel * c.kernel;
    weights = random(size_t(c.out) * fan_in, 1.f / std::sqrt(float(fan_in)));
    bias = padded_rows(c.border ? 9 : 1, c.out);
    slopes = padded_rows(1, c.out);
    const int shrink = c.addend == 2 ? 2 : 1;
    if (c.addend != 0)
      addend = activations(c.batch * (p.out_h / shrink) * (p.out_w / shrink), c.out);
  }

  /// Sum of products, bias, addend and activation, in double.
  [[nodiscard]] double want(int n, int y, int x, int o) const {
    double sum = 0;
    for_products(n, y, x, o, [&](double product) { sum += product; });
    return end(sum, n, y, x, o);
  }

  /// Calls f(product) for all that are added up in a result.
  template <typename F>
  void for_products(int n, int y, int x, int o, F f) const {
    const int in = p.in_c / p.groups, out = p.out_c / p.groups, first = o / out * in;
    for (int ky = 0; ky < p.kernel_h; ++ky)
      for (int kx = 0; kx < p.kernel_w; ++kx) {
        const int iy = y * p.stride_h - p.pad_top + ky, ix = x * p.stride_w - p.pad_left + kx;
        if (iy < 0 || ix < 0 || iy >= p.in_h || ix >= p.in_w) continue;
        const size_t pixel = (size_t(n) * p.in_h + iy) * p.in_w + ix;
        for (int i = 0; i < in; ++i)
          f(double(input[pixel * padded(p.in_c) + first + i]) *
            weights[((size_t(o) * in + i) * p.kernel_h + ky) * p.kernel_w + kx]);
      }
  }

  [[nodiscard]] double end(double sum, int n, int y, int x, int o) const {
    const auto side = [](int at, int stride, int pad, int kernel, int size) {
      return at * stride - pad < 0 ? 0 : at * stride - pad + kernel > size ? 2 : 1;
    };
    const int row = p.border_bias ? 3 * side(y, p.stride_h, p.pad_top, p.kernel_h, p.in_h) +
                                        side(x, p.stride_w, p.pad_left, p.kernel_w, p.in_w)
                                  : 0;
    sum += bias[row * padded(p.out_c) + o];
    const int s = p.addend_upsampled ? 2 : 1;
    if (!addend.empty())
      sum +=
          addend[((size_t(n) * (p.out_h / s) + y / s) * (p.out_w / s) + x / s) * padded(p.out_c) +
                 o];
    switch (p.activation) {
      case Act::kRelu:
        return std::max(sum, 0.);
      case Act::kPrelu:
        return sum < 0 ? sum * slopes[o] : sum;
      case Act::kClip:
        return std::min(std::max(sum, -0.25), 0.5);
      case Act::kSigmoid:
        return 1 / (1 + std::exp(-sum));
      case Act::kNone:
        break;
    }
    return sum;
  }

  std::vector<float> random(size_t count, float scale) {
    std::uniform_real_distribution<float> uniform(-scale, scale);
    std::vector<float> values(count);
    for (float& v : values) v = rounded(uniform(generator_));
    return values;
  }
  std::vector<float> activations(int pixels, int channels) {
    return zero_padding(random(size_t(pixels) * padded(channels), 1.f), channels);
  }
  std::vector<float> padded_rows(int rows, int channels) {
    return zero_padding(random(size_t(rows) * padded(channels), 1.f), channels);
  }

  OpParams p;
  std::vector<float> input, weights, bias, slopes, addend;

 private:
  float rounded(float v) const { return half_ ? float_from_half(half_from_float(v)) : v; }
  static std::vector<float> zero_padding(std::vector<float> values, int channels) {
    for (size_t i = 0; i < values.size(); ++i)
      if (static_cast<int>(i % padded(channels)) >= channels) values[i] = 0.f;
    return values;
  }

  bool half_;
  std::mt19937 generator_{1234};
};

}  // namespace face::cuda
