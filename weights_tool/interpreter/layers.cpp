// SPDX-License-Identifier: MIT
// Convolution, pools, matrix products, resizing.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "weights_tool/interpreter/ops.h"

namespace face::onnx::interpreter {
namespace {

/// One axis of a window that slides over a feature map.
struct Axis {
  int64_t in = 0, kernel = 1, stride = 1, dilation = 1, before = 0, after = 0, out = 0;
  [[nodiscard]] int64_t extent() const { return (kernel - 1) * dilation + 1; }
  [[nodiscard]] int64_t position(int64_t o, int64_t k) const {
    return o * stride - before + k * dilation;
  }
  [[nodiscard]] bool inside(int64_t i) const { return i >= 0 && i < in; }
};

void pad_automatically(Axis& axis, const std::string& mode) {
  const int64_t out = (axis.in + axis.stride - 1) / axis.stride;
  const int64_t total = std::max<int64_t>(0, (out - 1) * axis.stride + axis.extent() - axis.in);
  axis.before = mode == "SAME_LOWER" ? total - total / 2 : total / 2;
  axis.after = total - axis.before;
}

Axis make_axis(const Call& call, const Values& x, const Dims& kernel, size_t a) {
  const Node& node = call.node;
  const Dims strides = ints_attribute(node, "strides", {1, 1});
  const Dims dilations = ints_attribute(node, "dilations", {1, 1});
  const Dims pads = ints_attribute(node, "pads", {0, 0, 0, 0});
  call.require(kernel.size() == 2 && strides.size() == 2 && dilations.size() == 2 &&
                   pads.size() == 4 && kernel[a] > 0 && strides[a] > 0 && dilations[a] > 0,
               "window is not two-dimensional");
  Axis axis{x.dims[2 + a], kernel[a], strides[a], dilations[a], pads[a], pads[2 + a], 0};
  const std::string mode = string_attribute(node, "auto_pad", "NOTSET");
  call.require(mode == "NOTSET" || mode == "VALID" || mode == "SAME_UPPER" || mode == "SAME_LOWER",
               "auto_pad " + mode + " is not known");
  if (mode == "VALID") axis.before = axis.after = 0;
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") pad_automatically(axis, mode);
  const int64_t room = axis.in + axis.before + axis.after - axis.extent();
  call.require(room >= 0, "window is larger than its input");
  const bool ceil = int_attribute(node, "ceil_mode", 0) != 0;
  axis.out = (ceil ? (room + axis.stride - 1) / axis.stride : room / axis.stride) + 1;
  // A last window that would start behind the input is dropped.
  if (ceil && (axis.out - 1) * axis.stride >= axis.in + axis.before) --axis.out;
  return axis;
}

/// Output pixels [first, last) whose tap `k` lies inside the input.
struct Range {
  int64_t first = 0, last = 0;
};

std::vector<Range> inside_ranges(const Axis& axis) {
  std::vector<Range> ranges;
  for (int64_t k = 0; k < axis.kernel; ++k) {
    Range r{0, axis.out};
    while (r.first < r.last && !axis.inside(axis.position(r.first, k))) ++r.first;
    while (r.first < r.last && !axis.inside(axis.position(r.last - 1, k))) --r.last;
    ranges.push_back(r);
  }
  return ranges;
}

/// out[x] += w * in[position of x] for the pixels of `range`.
void add_row(const Axis& h, const Range& range, int64_t kx, double w, const double* in,
             double* out) {
  const int64_t left = h.position(0, kx);
  if (h.stride == 1)
    for (int64_t x = range.first; x < range.last; ++x) out[x] += w * in[x + left];
  else
    for (int64_t x = range.first; x < range.last; ++x) out[x] += w * in[x * h.stride + left];
}

/// out += one channel's filter over one channel of the input, row by row.
void add_channel(const Axis& v, const Axis& h, const std::vector<Range>& ranges,
                 const double* filter, const double* in, double* out) {
  for (int64_t y = 0; y < v.out; ++y) {
    for (int64_t ky = 0; ky < v.kernel; ++ky) {
      const int64_t iy = v.position(y, ky);
      if (!v.inside(iy)) continue;
      for (int64_t kx = 0; kx < h.kernel; ++kx)
        add_row(h, ranges[kx], kx, filter[ky * h.kernel + kx], in + iy * h.in, out + y * h.out);
    }
  }
}

}  // namespace

Values conv(const Call& call) {
  const Values &x = call.map(0), &w = call.map(1);
  const int64_t groups = int_attribute(call.node, "group", 1), out_channels = w.dims[0];
  const int64_t group_in = w.dims[1];
  call.require(groups > 0 && group_in * groups == x.dims[1] && out_channels % groups == 0,
               "weights do not fit the input");
  const Dims kernel{w.dims[2], w.dims[3]};
  const Axis v = make_axis(call, x, kernel, 0), h = make_axis(call, x, kernel, 1);
  const int64_t plane = v.out * h.out, taps = kernel[0] * kernel[1];
  const std::vector<Range> ranges = inside_ranges(h);
  if (call.has(2)) call.require(call.in(2).dims == Dims{out_channels}, "bias does not fit");
  Values out{{x.dims[0], out_channels, v.out, h.out}, {}, false};
  out.data.resize(count(out.dims));
  parallel_for(x.dims[0] * out_channels, [&](int64_t job) {
    const int64_t n = job / out_channels, c = job % out_channels;
    double* to = out.data.data() + job * plane;
    std::fill_n(to, plane, call.has(2) ? call.in(2).data[c] : 0.0);
    const int64_t first = n * x.dims[1] + c / (out_channels / groups) * group_in;
    for (int64_t i = 0; i < group_in; ++i)
      add_channel(v, h, ranges, w.data.data() + (c * group_in + i) * taps,
                  x.data.data() + (first + i) * v.in * h.in, to);
  });
  return out;
}

namespace {

/// The larger one; NaN if either is.
double larger(double a, double b) { return b > a || std::isnan(b) ? b : a; }

}  // namespace

Values pool(const Call& call) {
  const Values& x = call.map(0);
  const Dims kernel = ints_attribute(call.node, "kernel_shape", {});
  const Axis v = make_axis(call, x, kernel, 0), h = make_axis(call, x, kernel, 1);
  const bool average = call.node.op_type == "AveragePool";
  const bool with_padding = int_attribute(call.node, "count_include_pad", 0) != 0;
  Values out{{x.dims[0], x.dims[1], v.out, h.out}, {}, false};
  const auto counted = [&](const Axis& axis, int64_t i) {
    return axis.inside(i) || (with_padding && i >= -axis.before && i < axis.in + axis.after);
  };
  for (int64_t i = 0; i < count(out.dims); ++i) {
    const double* plane = x.data.data() + i / (v.out * h.out) * v.in * h.in;
    double sum = 0, best = -std::numeric_limits<double>::infinity();
    int64_t elements = 0;
    for (int64_t tap = 0; tap < kernel[0] * kernel[1]; ++tap) {
      const int64_t iy = v.position(i / h.out % v.out, tap / kernel[1]);
      const int64_t ix = h.position(i % h.out, tap % kernel[1]);
      elements += static_cast<int64_t>(counted(v, iy) && counted(h, ix));
      if (!v.inside(iy) || !h.inside(ix)) continue;
      sum += plane[iy * h.in + ix];
      best = larger(best, plane[iy * h.in + ix]);
    }
    out.data.push_back(average ? sum / static_cast<double>(elements) : best);
  }
  return out;
}

Values reduce_mean(const Call& call) {
  const Values& x = call.in(0);
  std::vector<bool> reduced(x.dims.size(), false);
  const Dims axes = call.ints("axes", 1);
  for (int64_t axis : axes) reduced[call.axis(axis, x.dims.size())] = true;
  if (axes.empty()) reduced.assign(x.dims.size(), true);
  Dims kept = x.dims;
  for (size_t a = 0; a < kept.size(); ++a)
    if (reduced[a]) kept[a] = 1;
  Values out{kept, std::vector<double>(count(kept), 0.0), false};
  for (int64_t i = 0; i < count(x.dims); ++i) {
    int64_t rest = i, to = 0, stride = 1;
    for (size_t a = x.dims.size(); a-- > 0;) {
      if (!reduced[a]) to += rest % x.dims[a] * stride;
      rest /= x.dims[a];
      stride *= kept[a];
    }
    out.data[to] += x.data[i];
  }
  for (double& v : out.data)
    v *= static_cast<double>(count(kept)) / static_cast<double>(count(x.dims));
  if (int_attribute(call.node, "keepdims", 1) != 0) return out;
  out.dims.clear();
  for (size_t a = 0; a < kept.size(); ++a)
    if (!reduced[a]) out.dims.push_back(kept[a]);
  return out;
}

Values global_average_pool(const Call& call) {
  const Values& x = call.map(0);
  const int64_t plane = x.dims[2] * x.dims[3];
  Values out{{x.dims[0], x.dims[1], 1, 1}, {}, false};
  for (int64_t i = 0; i < x.dims[0] * x.dims[1]; ++i) {
    const auto begin = x.data.begin() + i * plane;
    out.data.push_back(std::accumulate(begin, begin + plane, 0.0) / static_cast<double>(plane));
  }
  return out;
}

Values gemm(const Call& call) {
  const Values &a = call.in(0), &b = call.in(1);
  call.require(a.dims.size() == 2 && b.dims.size() == 2, "inputs are not matrices");
  const bool ta = int_attribute(call.node, "transA", 0) != 0;
  const bool tb = int_attribute(call.node, "transB", 0) != 0;
  const double alpha = float_attribute(call.node, "alpha", 1.f);
  const double beta = float_attribute(call.node, "beta", 1.f);
  const int64_t rows = a.dims[ta ? 1 : 0], inner = a.dims[ta ? 0 : 1], columns = b.dims[tb ? 0 : 1];
  call.require(b.dims[tb ? 1 : 0] == inner, "matrices do not fit");
  Values addend{{}, {0.0}, false};
  if (call.has(2)) addend = call.in(2);
  while (addend.dims.size() < 2) addend.dims.insert(addend.dims.begin(), 1);
  const int64_t ar = addend.dims[0], ac = addend.dims[1];
  call.require((ar == 1 || ar == rows) && (ac == 1 || ac == columns), "addend does not broadcast");
  Values out{{rows, columns}, std::vector<double>(rows * columns), false};
  parallel_for(rows * columns, [&](int64_t i) {
    const int64_t r = i / columns, c = i % columns;
    double sum = 0;
    for (int64_t k = 0; k < inner; ++k)
      sum +=
          a.data[ta ? k * rows + r : r * inner + k] * b.data[tb ? c * inner + k : k * columns + c];
    const double extra = addend.data[(ar == 1 ? 0 : r) * ac + (ac == 1 ? 0 : c)];
    out.data[i] = alpha * sum + beta * extra;
  });
  return out;
}

Values matmul(const Call& call) {
  const Values &a = call.in(0), &b = call.in(1);
  call.require(a.dims.size() >= 2 && b.dims.size() == 2, "shapes are not (..., M, K) and (K, N)");
  const int64_t inner = a.dims.back(), columns = b.dims[1];
  call.require(b.dims[0] == inner, "matrices do not fit");
  call.require(inner > 0, "matrices are empty");
  const int64_t rows = count(a.dims) / inner;
  Values out{a.dims, std::vector<double>(rows * columns, 0.0), false};
  out.dims.back() = columns;
  for (int64_t i = 0; i < rows * columns; ++i)
    for (int64_t k = 0; k < inner; ++k)
      out.data[i] += a.data[i / columns * inner + k] * b.data[k * columns + i % columns];
  return out;
}

namespace {

/// Coordinate in the input of output pixel `o`, as coordinate_transformation_mode says.
double source_position(const Call& call, const std::string& mode, int64_t o, int64_t in,
                       int64_t out, double scale) {
  const auto x = static_cast<double>(o);
  if (mode == "asymmetric") return x / scale;
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
  if (mode == "align_corners")
    return out == 1 ? 0 : x * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  if (mode == "pytorch_half_pixel" && out == 1) return 0;
  call.require(mode == "half_pixel" || mode == "pytorch_half_pixel",
               "coordinate_transformation_mode " + mode + " is not known");
  return (x + 0.5) / scale - 0.5;
}

double nearest(const Call& call, const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode == "floor") return std::floor(x);
  call.require(mode == "ceil", "nearest_mode " + mode + " is not known");
  return std::ceil(x);
}

}  // namespace

Values resize(const Call& call) {
  const Values& x = call.in(0);
  const Node& node = call.node;
  call.require(string_attribute(node, "mode", "nearest") == "nearest", "mode is not nearest");
  const bool old = call.opset < 11 || node.op_type == "Upsample";
  const std::string transformation =
      old ? "asymmetric" : string_attribute(node, "coordinate_transformation_mode", "half_pixel");
  const std::string rounding =
      old ? "floor" : string_attribute(node, "nearest_mode", "round_prefer_floor");
  const size_t scales = old ? 1 : 2;
  const bool by_size = !old && call.has(3) && !call.in(3).data.empty();
  call.require(by_size || call.has(scales), "neither scales nor sizes");
  const Values& wanted = call.in(by_size ? 3 : scales);
  call.require(wanted.data.size() == x.dims.size(), "scales or sizes do not fit the input");
  std::vector<Dims> index(x.dims.size());
  for (size_t a = 0; a < index.size(); ++a) {
    const auto in = static_cast<double>(x.dims[a]);
    const double scale = by_size ? wanted.data[a] / in : wanted.data[a];
    const auto out = static_cast<int64_t>(by_size ? wanted.data[a] : std::floor(in * scale));
    for (int64_t o = 0; o < out; ++o) {
      const double at = source_position(call, transformation, o, x.dims[a], out, scale);
      index[a].push_back(
          static_cast<int64_t>(std::clamp(nearest(call, rounding, at), 0.0, in - 1)));
    }
  }
  return select(x, index, 0.0);
}

}  // namespace face::onnx::interpreter
