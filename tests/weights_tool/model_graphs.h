// SPDX-License-Identifier: MIT
// tests/weights_tool/model_graphs.h - a small detector and a small recogniser, written in the ways
// that different exporters have. The weights do not depend on the way.
#pragma once

#include <string>
#include <vector>

#include "tests/support/graph_builder.h"

namespace face::test {

enum class Upsampling { kPlumbing, kScales, kSizes, kUpsampleOp };

struct DetectorStyle {
  const char* name = "release";
  int64_t opset = 11;
  int64_t size = -1;  // of the input; -1: dynamic
  Upsampling upsampling = Upsampling::kPlumbing;
  bool batch_dim = false;      // Transpose [0, 2, 3, 1] and Reshape to (1, -1, columns)
  bool sigmoid_first = false;  // before the Transpose
  bool separate_towers = false;
  bool landmarks = true;
};

class DetectorGraph : public GraphBuilder {
 public:
  explicit DetectorGraph(const DetectorStyle& style)
      : GraphBuilder({1, 3, style.size, style.size}, style.opset), style_(style) {
    const std::string c8 = stem();
    const std::string c16 = down(c8), c32 = down(c16);
    const std::string top = conv(c32, 6, {1, 1, 0, 1, true});
    const std::string middle = node("Add", {conv(c16, 6, {1, 1, 0, 1, true}), doubled(top, c16)});
    const std::string bottom = node("Add", {conv(c8, 6, {1, 1, 0, 1, true}), doubled(middle, c8)});
    shared_ = {weights({2, 6, 3, 3}), weights({2}),           weights({8, 6, 3, 3}),
               weights({8}),          weights({20, 6, 3, 3}), weights({20})};
    add_level(bottom, 0.9f);
    add_level(middle, 1.1f);
    add_level(top, 1.3f);
    for (const auto& kind : outputs_)
      for (const std::string& name : kind) output(name);
  }

 private:
  std::string stem() {
    const std::string half = node("Relu", {conv("data", 4, {3, 2, 1, 1, true})});
    const std::string quarter = node("MaxPool", {half}, window({2, 2, 0, 1, false}));
    return down(quarter);
  }
  /// A residual block that halves the map, with an average pool in its shortcut.
  std::string down(const std::string& x) {
    const std::string main = conv(node("Relu", {conv(x, 5, {3, 2, 1, 1, true})}), 5, {});
    Attributes pool = window({2, 2, 0, 1, false});
    pool["ceil_mode"] = int64_t{1};
    const std::string shortcut = conv(node("AveragePool", {x}, pool), 5, {1, 1, 0, 1, true});
    return node("Relu", {node("Add", {main, shortcut})});
  }

  std::string gathered(const std::string& shape, int64_t index) {
    const std::string one = node("Gather", {shape, ints({}, {index})}, {{"axis", int64_t{0}}});
    if (style_.opset >= 13) return node("Unsqueeze", {one, ints({0})});
    return node("Unsqueeze", {one}, {{"axes", Dims{0}}});
  }

  /// `x`, resized to the size of `like`, which is twice its own.
  std::string doubled(const std::string& x, const std::string& like) {
    const Attributes nearest = {{"mode", std::string("nearest")}};
    Attributes modes = nearest;
    modes["coordinate_transformation_mode"] = std::string("asymmetric");
    modes["nearest_mode"] = std::string("floor");
    const std::string scales = floats({4}, {1, 1, 2, 2});
    switch (style_.upsampling) {
      case Upsampling::kUpsampleOp:
        return node(style_.opset == 9 ? "Upsample" : "Resize", {x, scales}, nearest);
      case Upsampling::kScales:
        return node("Resize", {x, "", scales}, modes);
      case Upsampling::kSizes:
        side_ = side_ == 0 ? style_.size / 16 : 2 * side_;
        return node("Resize", {x, "", "", ints({1, 6, side_, side_})}, modes);
      case Upsampling::kPlumbing:
        break;
    }
    const std::string height = gathered(node("Shape", {like}), 2);
    const std::string width = gathered(node("Shape", {like}), 3);
    const std::string batch = node("Slice", {node("Shape", {x}), ints({0}), ints({2}), ints({0})});
    const std::string sizes = node("Concat", {batch, height, width}, {{"axis", int64_t{0}}});
    return node("Resize", {x, floats({0}, {}), floats({0}, {}), sizes}, modes);
  }

  std::string head_rows(const std::string& x, int64_t columns) {
    const Dims perm = style_.batch_dim ? Dims{0, 2, 3, 1} : Dims{2, 3, 0, 1};
    const Dims target = style_.batch_dim ? Dims{1, -1, columns} : Dims{-1, columns};
    return node("Reshape", {node("Transpose", {x}, {{"perm", perm}}), ints(target)});
  }

  /// The heads of one stride; all strides share their weights.
  void add_level(const std::string& x, float scale) {
    const std::string regression = style_.separate_towers ? node("Identity", {tower(x)}) : x;
    std::string score = conv_with({x, shared_[0], shared_[1]}, 2, {});
    if (style_.sigmoid_first) score = node("Sigmoid", {score});
    score = head_rows(score, 1);
    if (!style_.sigmoid_first) score = node("Sigmoid", {score});
    const std::string box =
        node("Mul", {conv_with({regression, shared_[2], shared_[3]}, 8, {}), floats({}, {scale})});
    outputs_[0].push_back(score);
    outputs_[1].push_back(head_rows(box, 4));
    if (!style_.landmarks) return;
    outputs_[2].push_back(head_rows(conv_with({regression, shared_[4], shared_[5]}, 20, {}), 10));
  }
  std::string tower(const std::string& x) { return node("Relu", {conv(x, 6, {})}); }

  const DetectorStyle style_;
  std::vector<std::string> shared_;
  std::vector<std::string> outputs_[3];
  int64_t side_ = 0;
};

enum class Flattening { kFlatten, kReshapeOne, kReshapeMinusOne, kPlumbing };

struct RecogniserStyle {
  const char* name = "release";
  int64_t opset = 11;
  Flattening flattening = Flattening::kFlatten;
  bool matmul = false;         // MatMul and Add in place of Gemm
  bool gemm_straight = false;  // transB = 0
  bool constants_as_nodes = false;
  bool raw_pixels = false;  // begins with Sub and Mul
  int64_t size = 112;
};

/// An IResNet in small: PReLU, BatchNorm before padded convolutions, a shortcut, a vector of 40.
class RecogniserGraph : public GraphBuilder {
 public:
  explicit RecogniserGraph(const RecogniserStyle& style)
      : GraphBuilder({-1, 3, style.size, style.size}, style.opset), style_(style) {
    std::string x = "data";
    if (style.raw_pixels)
      x = node("Mul", {node("Sub", {x, floats({}, {127.5f})}), floats({}, {0.0078125f})});
    x = prelu(conv(x, 5, {3, 4, 1, 1, true}));
    const std::string main = conv(prelu(conv(batch_norm(x), 6, {})), 6, {3, 4, 1, 1, false});
    x = node("Add", {main, conv(x, 6, {1, 4, 0, 1, true})});
    x = batch_norm(conv(batch_norm(x), 6, {7, 7, 0, 6, false}));
    output(batch_norm(connected(flattened(x), 6, 40)), {-1, 40});
    if (style.constants_as_nodes) turn_constants_into_nodes();
  }

 private:
  std::string flattened(const std::string& x) {
    switch (style_.flattening) {
      case Flattening::kFlatten:
        return node("Flatten", {x}, {{"axis", int64_t{1}}});
      case Flattening::kReshapeOne:
        return node("Reshape", {x, ints({1, -1})});
      case Flattening::kReshapeMinusOne:
        return node("Reshape", {x, ints({-1, 6})});
      case Flattening::kPlumbing:
        break;
    }
    const std::string batch =
        node("Gather", {node("Shape", {x}), ints({}, {0})}, {{"axis", int64_t{0}}});
    const std::string list = style_.opset >= 13 ? node("Unsqueeze", {batch, ints({0})})
                                                : node("Unsqueeze", {batch}, {{"axes", Dims{0}}});
    return node("Reshape", {x, node("Concat", {list, ints({-1})}, {{"axis", int64_t{0}}})});
  }

  std::string connected(const std::string& x, int64_t in, int64_t out) {
    if (!style_.matmul && !style_.gemm_straight) return gemm(x, in, out);
    const std::string plain = gemm(x, in, out);
    const std::vector<std::string> inputs = graph().nodes.back().inputs;
    graph().nodes.pop_back();
    const auto& w = *graph().initializers.at(inputs[1]);
    std::vector<float> turned;
    for (int64_t i = 0; i < in; ++i)
      for (int64_t o = 0; o < out; ++o) turned.push_back(w.floats[o * in + i]);
    const std::string matrix = floats({in, out}, turned);
    if (!style_.matmul) return with_channels(node("Gemm", {x, matrix, inputs[2]}), out);
    const std::string product = with_channels(node("MatMul", {x, matrix}), out);
    return node("Add", {product, inputs[2]});
  }

  void turn_constants_into_nodes() {
    std::vector<onnx::Node> nodes;
    for (auto& [name, array] : graph().initializers) {
      onnx::Node n;
      n.op_type = "Constant";
      n.name = "Constant_" + name;
      n.outputs = {name};
      n.attributes["value"] = array;
      nodes.push_back(std::move(n));
    }
    graph().initializers.clear();
    graph().nodes.insert(graph().nodes.begin(), nodes.begin(), nodes.end());
  }

  const RecogniserStyle style_;
};

}  // namespace face::test
