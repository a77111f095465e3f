// SPDX-License-Identifier: MIT
// Layers: what computes on feature maps and vectors.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <tuple>
#include <utility>

#include "engine/error.h"
#include "weights_tool/lowering.h"

namespace face {
namespace {

using Dims = std::vector<int64_t>;

int narrow(const onnx::Node& node, int64_t v, const char* what) {
  if (v < 0 || v > 4096) refuse(node.name, std::string(what) + " " + std::to_string(v));
  return static_cast<int>(v);
}

/// Padding of one axis for auto_pad SAME_*: {before, after}.
std::pair<int64_t, int64_t> same_padding(int64_t in, int64_t kernel, int64_t stride, bool lower) {
  const int64_t out = (in + stride - 1) / stride;
  const int64_t total = std::max<int64_t>(0, (out - 1) * stride + kernel - in);
  const int64_t small = total / 2;
  return lower ? std::pair(total - small, small) : std::pair(small, total - small);
}

}  // namespace

void Lowering::set_window(const onnx::Node& node, Op& op, const Dims& kernel, const Dims& in) {
  const Dims strides = ints_attribute(node, "strides", {1, 1});
  for (int64_t d : ints_attribute(node, "dilations", {1, 1}))
    if (d != 1) refuse(node.name, "dilation " + std::to_string(d) + " is not known");
  Dims pads = ints_attribute(node, "pads", {0, 0, 0, 0});
  if (kernel.size() != 2 || strides.size() != 2 || pads.size() != 4)
    refuse(node.name, "window is not two-dimensional");
  op.kernel_h = narrow(node, kernel[0], "kernel");
  op.kernel_w = narrow(node, kernel[1], "kernel");
  op.stride_h = narrow(node, strides[0], "stride");
  op.stride_w = narrow(node, strides[1], "stride");
  if (op.stride_h < 1 || op.stride_w < 1) refuse(node.name, "stride 0");
  const std::string automatic = string_attribute(node, "auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const bool lower = automatic == "SAME_LOWER";
    std::tie(pads[0], pads[2]) = same_padding(in[2], kernel[0], strides[0], lower);
    std::tie(pads[1], pads[3]) = same_padding(in[3], kernel[1], strides[1], lower);
  } else if (automatic == "VALID") {
    pads = {0, 0, 0, 0};
  } else if (automatic != "NOTSET") {
    refuse(node.name, "auto_pad " + automatic + " is not known");
  }
  op.pad_top = narrow(node, pads[0], "padding");
  op.pad_left = narrow(node, pads[1], "padding");
  op.pad_bottom = narrow(node, pads[2], "padding");
  op.pad_right = narrow(node, pads[3], "padding");
}

Dims Lowering::window_dims(const Node& node, const Op& op, const Dims& in, int64_t channels) const {
  Network probe;
  probe.tensors = {{"", static_cast<int>(in[1])}, {"", static_cast<int>(channels)}};
  probe.input.tensor = 0;
  probe.ops = {op};
  probe.ops[0].input = 0;
  probe.ops[0].output = 1;
  const auto height = static_cast<int>(in[2]), width = static_cast<int>(in[3]);
  try {
    const Shape out = infer_shapes(probe, height, width)[1];
    return {in[0], channels, out.height, out.width};
  } catch (const Error&) {
    refuse(node.name, "leaves no output of " + dims_text(in));
  }
}

void Lowering::lower_convolution(const Node& node) {
  const Value in = image(node, 0);
  const ArrayPtr w = weights(node, 1);
  Op window;
  window.groups = narrow(node, int_attribute(node, "group", 1), "group");
  if (w->dims.size() != 4 || window.groups < 1 || w->dims[1] * window.groups != in.dims[1] ||
      w->dims[0] < 1 || w->dims[0] % window.groups != 0)
    refuse(node.name, "weights of " + dims_text(w->dims) + " in " + std::to_string(window.groups) +
                          " groups do not fit an input of " + dims_text(in.dims));
  const Dims kernel(w->dims.begin() + 2, w->dims.end());
  if (ints_attribute(node, "kernel_shape", kernel) != kernel)
    refuse(node.name, "kernel_shape is not that of the weights, " + dims_text(w->dims));
  set_window(node, window, kernel, in.dims);
  Op& op = append(node, OpKind::kConv, in, window_dims(node, window, in.dims, w->dims[0]));
  window.name = op.name;
  window.input = op.input;
  window.output = op.output;
  op = window;
  op.weights = draft_.arrays.add(w);
  if (!has_input(node, 2)) return;
  op.bias_kind = BiasKind::kPerChannel;
  op.bias = draft_.arrays.add(vector_of(node, 2, w->dims[0]));
}

void Lowering::lower_batch_norm(const Node& node) {
  const Value in = channelled(node, 0);
  if (int_attribute(node, "training_mode", 0) != 0) refuse(node.name, "is in training mode");
  const int64_t channels = in.dims[1];
  const auto gamma = vector_of(node, 1, channels), beta = vector_of(node, 2, channels);
  const auto mean = vector_of(node, 3, channels), variance = vector_of(node, 4, channels);
  const double epsilon = float_attribute(node, "epsilon", 1e-5f);
  std::vector<float> scale, shift;
  for (int64_t c = 0; c < channels; ++c) {
    const double s = gamma->floats[c] / std::sqrt(variance->floats[c] + epsilon);
    if (!std::isfinite(s)) refuse(node.name, "variance " + std::to_string(variance->floats[c]));
    scale.push_back(static_cast<float>(s));
    shift.push_back(static_cast<float>(beta->floats[c] - mean->floats[c] * s));
  }
  append_affine(node, in, std::move(scale), std::move(shift));
}

void Lowering::lower_activation(const Node& node) {
  if (node.op_type == "Relu") return append_activation(node, Activation::kRelu, 0, 0, {});
  const float slope = float_attribute(node, "alpha", 0.01f);
  append_activation(node, Activation::kPrelu, 0, 0,
                    std::vector<float>(channelled(node, 0).dims[1], slope));
}

void Lowering::lower_prelu(const Node& node) {
  const Dims dims = channelled(node, 0).dims;
  append_activation(node, Activation::kPrelu, 0, 0, per_channel(node, weights(node, 1), dims));
}

void Lowering::lower_clip(const Node& node) {
  const auto bound = [&](size_t index, const char* name, float fallback) {
    if (has_input(node, index)) return vector_of(node, index, 1)->floats[0];
    return float_attribute(node, name, fallback);
  };
  const float low = std::max(bound(1, "min", -FLT_MAX), -FLT_MAX);
  const float high = std::min(bound(2, "max", FLT_MAX), FLT_MAX);
  if (low == 0 && high == FLT_MAX) return append_activation(node, Activation::kRelu, 0, 0, {});
  if (!(low <= high)) refuse(node.name, "clips to nothing");
  append_activation(node, Activation::kClip, low, high, {});
}

void Lowering::lower_sigmoid(const Node& node) {
  const Value& in = value(node, 0);
  if (in.layout != Layout::kPixels && in.layout != Layout::kRows)
    return append_activation(node, Activation::kSigmoid, 0, 0, {});
  if (in.sigmoid) refuse(node.name, "a sigmoid of a sigmoid");
  Value out = in;
  out.sigmoid = true;
  set(node, std::move(out));
}

void Lowering::lower_arithmetic(const Node& node) {
  const bool first_constant = value(node, 0).constant != nullptr;
  if (!first_constant && value(node, 1).constant == nullptr) {
    const Value a = channelled(node, 0), b = channelled(node, 1);
    if (node.op_type != "Add")
      refuse(node.name, node.op_type + " of two feature maps is not known");
    if (a.dims != b.dims)
      refuse(node.name, "adds " + dims_text(b.dims) + " to " + dims_text(a.dims));
    append(node, OpKind::kAdd, a, a.dims).addend = b.tensor;
    return;
  }
  const Value in = channelled(node, first_constant ? 1 : 0);
  const auto c = per_channel(node, weights(node, first_constant ? 0 : 1), in.dims);
  if (draft_.network.ops.empty()) draft_.begins_with_arithmetic = true;
  std::vector<float> scale(c.size(), 1.f), shift(c.size(), 0.f);
  const char op = node.op_type[0];
  if (op == 'D' && first_constant) refuse(node.name, "divides by a feature map");
  for (size_t i = 0; i < c.size(); ++i) {
    if (op == 'M') scale[i] = c[i];
    if (op == 'D') scale[i] = static_cast<float>(1.0 / c[i]);
    if (op == 'A') shift[i] = c[i];
    if (op == 'S') shift[i] = first_constant ? c[i] : -c[i];
    if (op == 'S' && first_constant) scale[i] = -1.f;
    if (!std::isfinite(scale[i])) refuse(node.name, "divides by " + std::to_string(c[i]));
  }
  append_affine(node, in, std::move(scale), std::move(shift));
}

void Lowering::append_fully_connected(const Node& node, const Value& input, ArrayPtr matrix,
                                      std::vector<float> bias) {
  const Value in = input;
  Op& op = append(node, OpKind::kFullyConnected, in, {in.dims[0], matrix->dims[0]});
  op.weights = draft_.arrays.add(std::move(matrix));
  if (bias.empty()) return;
  op.bias_kind = BiasKind::kPerChannel;
  op.bias = draft_.arrays.add(std::move(bias));
}

void Lowering::lower_gemm(const Node& node) {
  const Value& in = value(node, 0);
  ArrayPtr matrix = weights(node, 1);
  const bool transposed = int_attribute(node, "transB", 0) != 0;
  if (in.constant != nullptr || in.layout != Layout::kVector || matrix->dims.size() != 2 ||
      int_attribute(node, "transA", 0) != 0 || matrix->dims[transposed ? 1 : 0] != in.dims[1])
    refuse(node.name, "weights of " + dims_text(matrix->dims) + " do not fit an input of " +
                          dims_text(in.dims));
  if (!transposed) {
    Node swap;
    swap.op_type = "Transpose";
    swap.name = node.name;
    matrix = evaluate_constant(swap, {matrix});
  }
  const float alpha = float_attribute(node, "alpha", 1.f);
  const float beta = float_attribute(node, "beta", 1.f);
  std::vector<float> bias;
  if (has_input(node, 2)) bias = per_channel(node, weights(node, 2), {1, matrix->dims[0]});
  for (float& v : bias) v *= beta;
  if (alpha != 1.f) {
    auto scaled = std::make_shared<onnx::Array>(*matrix);
    for (float& v : scaled->floats) v *= alpha;
    matrix = std::move(scaled);
  }
  append_fully_connected(node, in, std::move(matrix), std::move(bias));
}

void Lowering::lower_matmul(const Node& node) {
  Node gemm = node;
  gemm.attributes.clear();
  lower_gemm(gemm);
}

void Lowering::lower_pool(const Node& node) {
  const Value in = image(node, 0);
  const bool average = node.op_type == "AveragePool";
  Op window;
  window.kind = average ? OpKind::kAveragePool : OpKind::kMaxPool;
  window.ceil_mode = int_attribute(node, "ceil_mode", 0) != 0;
  window.count_include_pad = average && int_attribute(node, "count_include_pad", 0) != 0;
  set_window(node, window, ints_attribute(node, "kernel_shape", {}), in.dims);
  Op& op = append(node, window.kind, in, window_dims(node, window, in.dims, in.dims[1]));
  window.name = op.name;
  window.input = op.input;
  window.output = op.output;
  op = window;
}

void Lowering::average_all(const Node& node, const Value& input) {
  const Value in = input;
  if (draft_.network.role == NetworkRole::kDetector)
    refuse(node.name, "a mean over the whole map of a detector is not known");
  Op& op = append(node, OpKind::kAveragePool, in, {in.dims[0], in.dims[1], 1, 1});
  op.kernel_h = narrow(node, in.dims[2], "height");
  op.kernel_w = narrow(node, in.dims[3], "width");
}

void Lowering::lower_global_pool(const Node& node) { average_all(node, image(node, 0)); }

void Lowering::lower_reduce_mean(const Node& node) {
  const Value in = image(node, 0);
  const ArrayPtr given = has_input(node, 1) ? constant(node, 1) : nullptr;
  Dims axes = node_axes(node, given, 4);
  std::sort(axes.begin(), axes.end());
  if (axes != Dims{2, 3}) refuse(node.name, "mean over axes other than height and width");
  average_all(node, in);
  if (int_attribute(node, "keepdims", 1) == 0)
    alias(node, Value(values_.at(node.outputs[0])), {in.dims[0], in.dims[1]}, Layout::kVector);
}

}  // namespace face
