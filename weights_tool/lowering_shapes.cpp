// SPDX-License-Identifier: MIT
// Shapes: what moves or renames values, and the upsampling.
#include <algorithm>
#include <cmath>
#include <utility>

#include "weights_tool/lowering.h"

namespace face {
namespace {

using Dims = std::vector<int64_t>;

/// Source of output pixel `i` when a nearest Resize doubles an axis, before clamping.
double source_position(const onnx::Node& node, const std::string& mode, int i) {
  if (mode == "asymmetric") return i / 2.0;
  if (mode == "half_pixel" || mode == "pytorch_half_pixel") return (i + 0.5) / 2 - 0.5;
  if (mode == "tf_half_pixel_for_nn") return (i + 0.5) / 2;
  refuse(node.name, "coordinate_transformation_mode " + mode + " is not known");
}

double round_nearest(const onnx::Node& node, const std::string& mode, double x) {
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  refuse(node.name, "nearest_mode " + mode + " is not known");
}

/// Refuses a nearest Resize by 2 that does not give every pixel twice.
void check_nearest(const onnx::Node& node, bool has_modes) {
  const auto text = [&](const char* name, const char* modern, const char* old) {
    return string_attribute(node, name, has_modes ? modern : old);
  };
  const std::string transformation =
      text("coordinate_transformation_mode", "half_pixel", "asymmetric");
  const std::string nearest = text("nearest_mode", "round_prefer_floor", "floor");
  const std::string complaint = "nearest upsampling by " + transformation + " and " + nearest +
                                " does not give every pixel twice";
  constexpr int kSource = 8;
  for (int i = 0; i < 2 * kSource; ++i) {
    const int expected = i / 2;
    const double x = round_nearest(node, nearest, source_position(node, transformation, i));
    if (std::min<double>(std::max(x, 0.0), kSource - 1) != expected) refuse(node.name, complaint);
  }
}

}  // namespace

void Lowering::lower_resize(const Node& node) {
  const Value in = image(node, 0);
  const bool has_modes = node.op_type == "Resize" && graph_.opset >= 11;
  if (string_attribute(node, "mode", "nearest") != "nearest")
    refuse(node.name, "mode " + string_attribute(node, "mode", "") + " is not known");
  Dims out;
  const size_t scales_at = has_modes ? 2 : 1;
  if (has_modes && has_input(node, 3)) {
    out = constant(node, 3)->ints;
  } else {
    const ArrayPtr scales = weights(node, scales_at);
    for (size_t i = 0; i < scales->floats.size() && i < 4; ++i)
      out.push_back(static_cast<int64_t>(std::floor(in.dims[i] * double(scales->floats[i]))));
  }
  if (out != Dims{in.dims[0], in.dims[1], 2 * in.dims[2], 2 * in.dims[3]})
    refuse(node.name, "resizes " + dims_text(in.dims) + " to " + dims_text(out) +
                          ", known is twice the height and width");
  check_nearest(node, has_modes);
  append(node, OpKind::kUpsample2x, in, out);
}

void Lowering::lower_shape(const Node& node) {
  const Dims& dims = value(node, 0).dims;
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = clamp(int_attribute(node, "start", 0));
  const int64_t end = std::max(start, clamp(int_attribute(node, "end", rank)));
  auto array = std::make_shared<onnx::Array>();
  array->is_float = false;
  array->ints.assign(dims.begin() + start, dims.begin() + end);
  array->dims = {end - start};
  Value v;
  v.dims = array->dims;
  v.constant = std::move(array);
  set(node, std::move(v));
}

void Lowering::lower_identity(const Node& node) {
  const int64_t to = int_attribute(node, "to", 1);  // Cast: a TensorProto::DataType
  if (to != 1 && to != 10 && to != 11 && to != 16)
    refuse(node.name, "casts a feature map to dtype " + std::to_string(to));
  set(node, value(node, 0));
}

void Lowering::lower_flatten(const Node& node) {
  const Value in = value(node, 0);
  const auto rank = static_cast<int64_t>(in.dims.size());
  int64_t axis = int_attribute(node, "axis", 1);
  if (axis < 0) axis += rank;
  if (axis != 1) refuse(node.name, "flattens from axis " + std::to_string(axis));
  int64_t count = 1;
  for (size_t i = 1; i < in.dims.size(); ++i) count *= in.dims[i];
  reshape_to(node, in, {in.dims[0], count});
}

void Lowering::lower_reshape(const Node& node) {
  const Value in = value(node, 0);
  reshape_to(node, in, reshaped_dims(node, in.dims, constant(node, 1)->ints));
}

void Lowering::lower_squeeze(const Node& node) {
  const Value in = value(node, 0);
  onnx::Array shape;  // carries dims through the constants' rule for the same op
  shape.dims = in.dims;
  std::vector<ArrayPtr> inputs{std::make_shared<const onnx::Array>(std::move(shape))};
  if (has_input(node, 1)) inputs.push_back(constant(node, 1));
  reshape_to(node, in, evaluate_constant(node, inputs)->dims);
}

void Lowering::reshape_to(const Node& node, const Value& in, const Dims& dims) {
  const auto fail = [&] {
    refuse(node.name,
           "reshape of " + dims_text(in.dims) + " to " + dims_text(dims) + " is not known");
  };
  if (in.constant != nullptr) fail();
  if (dims == in.dims) return alias(node, in, dims, in.layout);
  switch (in.layout) {
    case Layout::kImage:
      if (dims.size() != 2 || dims[0] != in.dims[0]) fail();
      return alias(node, in, dims, Layout::kVector);
    case Layout::kVector: {
      const bool one_pixel = draft_.network.tensors[in.tensor].channels == in.dims[1];
      if (dims != Dims{in.dims[0], in.dims[1], 1, 1} || !one_pixel) fail();
      return alias(node, in, dims, Layout::kImage);
    }
    case Layout::kPixels:
    case Layout::kRows:
      if (dims.size() != 2 && (dims.size() != 3 || dims[0] != 1)) fail();
      if (in.layout == Layout::kRows && dims.back() != in.dims.back()) fail();
      return alias(node, in, dims, Layout::kRows);
  }
}

void Lowering::lower_transpose(const Node& node) {
  const Value in = image(node, 0);
  const Dims perm = ints_attribute(node, "perm", {});
  if (perm == Dims{0, 1, 2, 3}) return set(node, in);
  if (perm != Dims{0, 2, 3, 1} && perm != Dims{2, 3, 0, 1})
    refuse(node.name, "transposes a feature map by " + dims_text(perm));
  Dims dims;
  for (int64_t p : perm) dims.push_back(in.dims[p]);
  alias(node, in, dims, Layout::kPixels);
}

}  // namespace face
