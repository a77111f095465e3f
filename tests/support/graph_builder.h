// SPDX-License-Identifier: MIT
// tests/support/graph_builder.h - small ONNX graphs built in memory, with seeded weights.
#pragma once

#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face::test {

/// Appends nodes to a Graph; every function that adds one returns the name of its output. Channel
/// counts are remembered by name, so weights get the right shape.
class GraphBuilder {
 public:
  using Dims = std::vector<int64_t>;
  using Attributes = std::map<std::string, onnx::Attribute>;

  explicit GraphBuilder(Dims input, int64_t opset = 11) : input_dims_(std::move(input)) {
    graph_.file = "test.onnx";
    graph_.opset = opset;
    graph_.inputs = {{"data", input_dims_}};
    channels_["data"] = 3;
  }

  [[nodiscard]] const onnx::Graph& graph() const { return graph_; }
  [[nodiscard]] onnx::Graph& graph() { return graph_; }

  /// Float constant of seeded values in [low, high).
  std::string weights(const Dims& dims, float low = -1.f, float high = 1.f) {
    auto array = std::make_shared<onnx::Array>();
    array->dims = dims;
    std::uniform_real_distribution<float> value(low, high);
    for (int64_t i = 0; i < array->size(); ++i) array->floats.push_back(value(random_));
    return constant(std::move(array));
  }
  std::string floats(const Dims& dims, std::vector<float> values) {
    auto array = std::make_shared<onnx::Array>();
    array->dims = dims;
    array->floats = std::move(values);
    return constant(std::move(array));
  }
  std::string ints(const Dims& dims, std::vector<int64_t> values) {
    auto array = std::make_shared<onnx::Array>();
    array->dims = dims;
    array->is_float = false;
    array->ints = std::move(values);
    return constant(std::move(array));
  }
  std::string ints(std::vector<int64_t> values) {
    const auto count = static_cast<int64_t>(values.size());
    return ints({count}, std::move(values));
  }

  std::string node(const std::string& op, std::vector<std::string> inputs,
                   Attributes attributes = {}) {
    onnx::Node n;
    n.op_type = op;
    n.name = op + "_" + std::to_string(graph_.nodes.size());
    n.outputs = {"v" + std::to_string(graph_.nodes.size())};
    int64_t& channels = channels_[n.outputs[0]];
    for (const std::string& input : inputs)
      if (channels == 0 && channels_.contains(input)) channels = channels_.at(input);
    n.inputs = std::move(inputs);
    n.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(n));
    return graph_.nodes.back().outputs[0];
  }

  struct Window {
    int64_t kernel = 3, stride = 1, pad = 1, groups = 1;
    bool bias = true;
  };
  static Attributes window(const Window& w) {
    return {{"kernel_shape", Dims{w.kernel, w.kernel}},
            {"strides", Dims{w.stride, w.stride}},
            {"pads", Dims{w.pad, w.pad, w.pad, w.pad}}};
  }
  std::string conv(const std::string& x, int64_t out, const Window& w) {
    const int64_t in = channels_.at(x) / w.groups;
    const float range = 1.f / std::sqrt(static_cast<float>(in * w.kernel * w.kernel));
    std::vector<std::string> inputs{x, weights({out, in, w.kernel, w.kernel}, -range, range)};
    if (w.bias) inputs.push_back(weights({out}));
    return conv_with(std::move(inputs), out, w);
  }
  /// A convolution with weights and bias that are there already.
  std::string conv_with(std::vector<std::string> inputs, int64_t out, const Window& w) {
    Attributes attributes = window(w);
    attributes["group"] = w.groups;
    return with_channels(node("Conv", std::move(inputs), std::move(attributes)), out);
  }
  std::string batch_norm(const std::string& x) {
    const int64_t c = channels_.at(x);
    return node("BatchNormalization",
                {x, weights({c}, 0.5f, 1.5f), weights({c}), weights({c}), weights({c}, 0.5f, 2.f)},
                {{"epsilon", 1e-3f}});
  }
  std::string prelu(const std::string& x) {
    return node("PRelu", {x, weights({channels_.at(x), 1, 1}, 0.1f, 0.4f)});
  }
  /// `out` values of a flattened map of `in` values.
  std::string gemm(const std::string& x, int64_t in, int64_t out) {
    const float range = 1.f / std::sqrt(static_cast<float>(in));
    return with_channels(node("Gemm", {x, weights({out, in}, -range, range), weights({out})},
                              {{"transB", int64_t{1}}}),
                         out);
  }
  /// Transpose and Reshape as at the end of a detector's head; makes it an output.
  std::string rows(const std::string& x, int64_t columns) {
    const std::string t = node("Transpose", {x}, {{"perm", Dims{2, 3, 0, 1}}});
    return node("Reshape", {t, ints({-1, columns})});
  }
  void output(const std::string& name, Dims dims = {-1, -1}) {
    graph_.outputs.push_back({name, std::move(dims)});
  }
  std::string with_channels(const std::string& name, int64_t channels) {
    channels_[name] = channels;
    return name;
  }

 private:
  std::string constant(std::shared_ptr<const onnx::Array> array) {
    std::string name = "c" + std::to_string(graph_.initializers.size());
    graph_.initializers[name] = std::move(array);
    return name;
  }

  Dims input_dims_;
  onnx::Graph graph_;
  std::map<std::string, int64_t> channels_;
  std::mt19937 random_{7};
};

}  // namespace face::test
