// SPDX-License-Identifier: MIT
// tests/weights_tool/one_node.h - runs graphs of a single ONNX node in the float64 interpreter.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "weights_tool/graph_interpreter.h"

namespace face::test {

using Dims = std::vector<int64_t>;
using Attributes = std::map<std::string, onnx::Attribute>;
/// An input; nullopt: one that is left out.
using OptionalValues = std::optional<onnx::Values>;

inline onnx::Values floats(Dims dims, std::vector<double> data) {
  return {std::move(dims), std::move(data), false};
}
inline onnx::Values ints(Dims dims, std::vector<double> data) {
  return {std::move(dims), std::move(data), true};
}
/// A one-dimensional integer tensor, as axes and shapes are.
inline onnx::Values list(std::vector<double> data) {
  const auto size = static_cast<int64_t>(data.size());
  return ints({size}, std::move(data));
}
/// 0, 1, 2, ...
inline onnx::Values counting(const Dims& dims) {
  onnx::Values v{dims, {}, false};
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  for (int64_t i = 0; i < count; ++i) v.data.push_back(static_cast<double>(i));
  return v;
}

inline onnx::Values run_node(const std::string& op, const std::vector<OptionalValues>& inputs,
                             Attributes attributes = {}, int64_t opset = 13) {
  onnx::Graph graph;
  graph.file = "one.onnx";
  graph.opset = opset;
  onnx::Node node{op, "it", {}, {"out"}, std::move(attributes)};
  std::map<std::string, onnx::Values> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = inputs[i] ? "in" + std::to_string(i) : "";
    node.inputs.push_back(name);
    if (!inputs[i]) continue;
    graph.inputs.push_back({name, inputs[i]->dims});
    values[name] = *inputs[i];
  }
  graph.nodes.push_back(std::move(node));
  graph.outputs.push_back({"out", {}});
  return onnx::interpret(graph, std::move(values)).at(0);
}

/// What the interpreter says against a node; "" if it runs.
inline std::string refusal_of(const std::string& op, const std::vector<OptionalValues>& inputs,
                              const Attributes& attributes = {}, int64_t opset = 13) {
  try {
    (void)run_node(op, inputs, attributes, opset);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadModel);
    return e.what();
  }
  return "";
}

/// Same shape, same kind, every element equal up to rounding; NaN equals NaN alone.
inline void expect_values(const onnx::Values& got, const onnx::Values& want) {
  EXPECT_EQ(got.dims, want.dims);
  EXPECT_EQ(got.integer, want.integer);
  ASSERT_EQ(got.data.size(), want.data.size());
  for (size_t i = 0; i < want.data.size(); ++i) {
    if (want.data[i] != want.data[i]) {
      EXPECT_NE(got.data[i], got.data[i]) << "element " << i;
    } else {
      EXPECT_NEAR(got.data[i], want.data[i], 1e-6) << "element " << i;
    }
  }
}

/// A case of a table: one node and what it gives.
struct NodeCase {
  const char* name;
  const char* op;
  std::vector<OptionalValues> inputs;
  Attributes attributes;
  onnx::Values want;
  int64_t opset = 13;
};

/// A case of a table: one node and a part of what is said against it.
struct RefusalCase {
  const char* name;
  const char* op;
  std::vector<OptionalValues> inputs;
  Attributes attributes;
  const char* message;
  int64_t opset = 13;
};

}  // namespace face::test
