// SPDX-License-Identifier: MIT
#include "engine/reference/network_interpreter.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "engine/error.h"
#include "kernels/math/border_bias.h"

namespace face::reference {
namespace {

template <typename F>
void parallel_for(int count, const F& body) {
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::thread> threads(std::min<size_t>(std::thread::hardware_concurrency(), 16));
  for (std::thread& thread : threads) thread = std::thread(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

double activate(const Op& op, int c, double x) {
  switch (op.activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return x < 0 ? 0 : x;
    case Activation::kPrelu:
      return x < 0 ? x * op.slopes[c] : x;
    case Activation::kClip:
      return std::min<double>(std::max<double>(x, op.clip_low), op.clip_high);
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double bias_at(const Op& op, int c, int y, int x, const Shape& in, int channels) {
  if (op.bias_kind == BiasKind::kNone) return 0;
  if (op.bias_kind == BiasKind::kPerChannel) return op.bias[c];
  const int v = border_class(y, op.stride_h, op.pad_top, op.kernel_h, in.height);
  const int h = border_class(x, op.stride_w, op.pad_left, op.kernel_w, in.width);
  return op.bias[size_t(border_bias_row(v, h)) * channels + c];
}

double addend_at(const Op& op, const Values* addend, int c, int y, int x) {
  if (addend == nullptr) return 0;
  return op.addend_upsampled ? addend->at(c, y / 2, x / 2) : addend->at(c, y, x);
}

/// Calls visit(iy, ix, ky, kx) for each element of the window that lies inside the input.
template <typename F>
void for_window(const Op& op, const Shape& in, int y, int x, const F& visit) {
  for (int ky = 0; ky < op.kernel_h; ++ky) {
    for (int kx = 0; kx < op.kernel_w; ++kx) {
      const int iy = y * op.stride_h - op.pad_top + ky, ix = x * op.stride_w - op.pad_left + kx;
      if (iy >= 0 && iy < in.height && ix >= 0 && ix < in.width) visit(iy, ix, ky, kx);
    }
  }
}

/// plane += weight * input, where the input is shifted by tap (ky, kx) of the window.
void add_tap(const Op& op, const Shape& in, const double* channel, int ky, int kx, double weight,
             const Shape& out, double* plane) {
  for (int y = 0; y < out.height; ++y) {
    const int iy = y * op.stride_h - op.pad_top + ky;
    if (iy < 0 || iy >= in.height) continue;
    const int left = kx - op.pad_left;
    const int first = left < 0 ? (-left + op.stride_w - 1) / op.stride_w : 0;
    const int last = std::min(out.width, (in.width - left + op.stride_w - 1) / op.stride_w);
    const double* from = channel + size_t(iy) * in.width;
    double* to = plane + size_t(y) * out.width;
    for (int x = first; x < last; ++x) to[x] += weight * from[x * op.stride_w + left];
  }
}

/// All pixels of output channel `c`, without bias.
void convolve(const Op& op, const Values& in, const Shape& out, int c, double* plane) {
  const int group_in = in.shape.channels / op.groups, taps = op.kernel_h * op.kernel_w;
  const int first = c / (out.channels / op.groups) * group_in;
  std::fill_n(plane, size_t(out.height) * out.width, 0.0);
  for (int i = 0; i < group_in; ++i) {
    const double* channel = &in.data[size_t(first + i) * in.shape.height * in.shape.width];
    for (int tap = 0; tap < taps; ++tap)
      add_tap(op, in.shape, channel, tap / op.kernel_w, tap % op.kernel_w,
              op.weights[(size_t(c) * group_in + i) * taps + tap], out, plane);
  }
}

double fully_connected(const Op& op, const Values& in, int c) {
  const float* w = &op.weights[size_t(c) * in.data.size()];
  double sum = 0;
  for (size_t i = 0; i < in.data.size(); ++i) sum += in.data[i] * w[i];
  return sum;
}

double max_pool(const Op& op, const Values& in, int c, int y, int x) {
  double best = -std::numeric_limits<double>::infinity();
  for_window(op, in.shape, y, x, [&](int iy, int ix, int, int) {
    const double v = in.at(c, iy, ix);
    if (v > best || std::isnan(v)) best = v;
  });
  return best;
}

/// Elements a window counts: with padding, those inside the padded input.
int counted(const Op& op, const Shape& in, int y, int x, int inside) {
  if (!op.count_include_pad) return inside;
  const int top = y * op.stride_h - op.pad_top, left = x * op.stride_w - op.pad_left;
  const int bottom = std::min(top + op.kernel_h, in.height + op.pad_bottom);
  const int right = std::min(left + op.kernel_w, in.width + op.pad_right);
  return (bottom - top) * (right - left);
}

double average_pool(const Op& op, const Values& in, int c, int y, int x) {
  double sum = 0;
  int inside = 0;
  for_window(op, in.shape, y, x, [&](int iy, int ix, int, int) {
    sum += in.at(c, iy, ix);
    ++inside;
  });
  return sum / counted(op, in.shape, y, x, inside);
}

/// `convolved` is the convolution's sum at this pixel; other kinds ignore it.
double before_activation(const Op& op, const Values& in, const Values* addend, int channels, int c,
                         int y, int x, double convolved) {
  const double extra = addend_at(op, addend, c, y, x);
  switch (op.kind) {
    case OpKind::kConv:
      return convolved + bias_at(op, c, y, x, in.shape, channels) + extra;
    case OpKind::kFullyConnected:
      return fully_connected(op, in, c) + bias_at(op, c, y, x, in.shape, channels);
    case OpKind::kMaxPool:
      return max_pool(op, in, c, y, x);
    case OpKind::kAveragePool:
      return average_pool(op, in, c, y, x);
    case OpKind::kUpsample2x:
      return in.at(c, y / 2, x / 2);
    case OpKind::kAdd:
      return in.at(c, y, x) + extra;
    case OpKind::kAffine:
      return in.at(c, y, x) * op.weights[c] + op.bias[c];
    case OpKind::kActivation:
      return in.at(c, y, x);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

void run_op(const Op& op, const Values& in, const Values* addend, Values& out) {
  const Shape& shape = out.shape;
  parallel_for(shape.channels, [&](int c) {
    double* plane = &out.data[size_t(c) * shape.height * shape.width];
    if (op.kind == OpKind::kConv) convolve(op, in, shape, c, plane);
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        double& value = plane[y * shape.width + x];
        value = before_activation(op, in, addend, shape.channels, c, y, x, value);
        value = activate(op, c, value);
      }
    }
  });
}

}  // namespace

std::vector<Values> run(const Network& network, const Values& input) {
  const auto shapes = infer_shapes(network, input.shape.height, input.shape.width);
  if (input.shape != shapes[network.input.tensor] ||
      input.data.size() != size_t(input.shape.channels) * input.shape.height * input.shape.width)
    throw Error(ErrorKind::kInvalidArgument, "network interpreter: input's shape does not fit");
  std::vector<Values> tensors(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    tensors[i].shape = shapes[i];
    tensors[i].data.resize(size_t(shapes[i].channels) * shapes[i].height * shapes[i].width);
  }
  tensors[network.input.tensor] = input;
  for (const Op& op : network.ops) {
    const Values* addend = op.addend == kNoTensor ? nullptr : &tensors[op.addend];
    run_op(op, tensors[op.input], addend, tensors[op.output]);
  }
  return tensors;
}

}  // namespace face::reference
