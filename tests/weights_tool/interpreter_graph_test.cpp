// SPDX-License-Identifier: MIT
// The float64 interpreter on whole graphs: inputs, constants, the order and life of values.
#include <gmock/gmock.h>

#include "tests/support/graph_builder.h"
#include "tests/weights_tool/one_node.h"

namespace face::test {
namespace {

std::string error_of(const onnx::Graph& graph, const std::map<std::string, onnx::Values>& inputs) {
  try {
    (void)onnx::interpret(graph, inputs);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// data (1, 2) * 10 + 1
GraphBuilder small_graph() {
  GraphBuilder b({1, -1});
  b.output(b.node("Add", {b.node("Mul", {"data", b.floats({}, {10})}), b.floats({2}, {1, 2})}));
  return b;
}

TEST(GraphInterpreter, ReadsConstantsOfTheGraph) {
  const auto out = onnx::interpret(small_graph().graph(), {{"data", floats({1, 2}, {3, 4})}});
  ASSERT_EQ(out.size(), 1u);
  expect_values(out[0], floats({1, 2}, {31, 42}));
}

TEST(GraphInterpreter, KeepsIntegersOfTheGraphIntegers) {
  GraphBuilder b({1});
  b.output(b.node("Div", {b.ints({7}), b.ints({2})}));
  expect_values(onnx::interpret(b.graph(), {{"data", counting({1})}})[0], list({3}));
}

TEST(GraphInterpreter, OutputsComeInTheGraphsOrderAndMayBeReadOn) {
  GraphBuilder b({2});
  const std::string first = b.node("Neg", {"data"});
  const std::string second = b.node("Mul", {first, first});  // read twice by one node
  const std::string third = b.node("Add", {second, "data"});
  for (const std::string& name : {third, first, std::string("data")}) b.output(name);
  const auto out = onnx::interpret(b.graph(), {{"data", floats({2}, {3, 4})}});
  ASSERT_EQ(out.size(), 3u);
  expect_values(out[0], floats({2}, {12, 20}));
  expect_values(out[1], floats({2}, {-3, -4}));
  expect_values(out[2], floats({2}, {3, 4}));
}

TEST(GraphInterpreter, RefusesInputsThatAreMissingOrMisshapen) {
  const onnx::Graph graph = small_graph().graph();
  EXPECT_EQ(error_of(graph, {}), "test.onnx: input 'data' is missing");
  const char* const misshapen = "test.onnx: input 'data' has another shape than the graph declares";
  EXPECT_EQ(error_of(graph, {{"data", counting({2, 2})}}), misshapen);
  EXPECT_EQ(error_of(graph, {{"data", counting({2})}}), misshapen);
  EXPECT_EQ(error_of(graph, {{"data", floats({1, 2}, {1})}}), misshapen);
  EXPECT_EQ(error_of(graph, {{"data", counting({1, 2})}}), "");
}

TEST(GraphInterpreter, NamesTheNodeThatFails) {
  GraphBuilder b = small_graph();
  b.graph().nodes[1].name = "late";
  EXPECT_EQ(error_of(b.graph(), {{"data", counting({1, 3})}}),
            "test.onnx: node late: shapes do not broadcast");
  b.graph().nodes[0].op_type = "Softmax";
  EXPECT_EQ(error_of(b.graph(), {{"data", counting({1, 2})}}),
            "test.onnx: node Mul_0: op Softmax is not known");
  b.graph().nodes[0].op_type = "Mul";
  b.graph().nodes[0].outputs.clear();
  EXPECT_EQ(error_of(b.graph(), {{"data", counting({1, 2})}}),
            "test.onnx: node Mul_0: has no output");
}

TEST(GraphInterpreter, NamesAValueThatNothingComputes) {
  GraphBuilder b = small_graph();
  b.graph().outputs[0].name = "nowhere";
  EXPECT_EQ(error_of(b.graph(), {{"data", counting({1, 2})}}),
            "test.onnx: value 'nowhere' is not computed");
}

TEST(GraphInterpreter, AttributesOfTheWrongKindAreNamed) {
  EXPECT_THAT(
      refusal_of("Flatten", {counting({2})}, {{"axis", 1.f}}),
      testing::AllOf(testing::StartsWith("one.onnx: node it: "), testing::HasSubstr("axis")));
}

}  // namespace
}  // namespace face::test
