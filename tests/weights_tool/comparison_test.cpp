// SPDX-License-Identifier: MIT
// What "verify" rests on: a good network agrees with its graph, and no damage goes unseen.
#include "weights_tool/comparison.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>

#include "engine/error.h"
#include "tests/weights_tool/model_graphs.h"
#include "weights_tool/converter.h"

namespace face {
namespace {

constexpr double kTolerance = 1e-5;  // of the command

/// The worst output; NaN if there is one.
double worst(const std::vector<OutputError>& errors) {
  double result = 0;
  for (const OutputError& e : errors)
    if (e.relative_l2 > result || std::isnan(e.relative_l2)) result = e.relative_l2;
  return result;
}

std::string error_of(const onnx::Graph& graph, const Network& network) {
  try {
    (void)compare(graph, network);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// A converted graph whose network can be damaged.
class Damaged {
 public:
  explicit Damaged(onnx::Graph graph)
      : graph_(std::move(graph)), converted_(convert(graph_)), network(converted_.network) {}

  /// A copy of `values` that may be changed.
  std::vector<float>& copy(std::span<const float>& values) {
    copies_.emplace_back(values.begin(), values.end());
    values = copies_.back();
    return copies_.back();
  }
  [[nodiscard]] double error() const { return worst(compare(graph_, network)); }
  [[nodiscard]] std::string refusal() const { return error_of(graph_, network); }
  void restore() { network = converted_.network; }

 private:
  onnx::Graph graph_;
  ConvertedNetwork converted_;
  std::list<std::vector<float>> copies_;

 public:
  Network network;
};

onnx::Graph detector() { return test::DetectorGraph({}).graph(); }
onnx::Graph recogniser() { return test::RecogniserGraph({}).graph(); }

// ---- good networks

class GoodDetector : public testing::TestWithParam<test::DetectorStyle> {};
TEST_P(GoodDetector, AgreesWithItsGraph) {
  const onnx::Graph graph = test::DetectorGraph(GetParam()).graph();
  const auto errors = compare(graph, convert(graph).network);
  ASSERT_EQ(errors.size(), 9u);
  for (size_t i = 0; i < errors.size(); ++i) EXPECT_EQ(errors[i].name, graph.outputs[i].name);
  EXPECT_LE(worst(errors), 1e-6);
}
const test::DetectorStyle kDetectors[] = {
    {},
    {.name = "fixed_size", .size = 64},
    {.name = "opset_9", .opset = 9, .upsampling = test::Upsampling::kUpsampleOp},
    {.name = "opset_13", .opset = 13, .batch_dim = true},
    {.name = "scales_sigmoid_first",
     .upsampling = test::Upsampling::kScales,
     .sigmoid_first = true},
    {.name = "towers", .separate_towers = true}};
INSTANTIATE_TEST_SUITE_P(Styles, GoodDetector, testing::ValuesIn(kDetectors),
                         [](const auto& info) { return std::string(info.param.name); });

class GoodRecogniser : public testing::TestWithParam<test::RecogniserStyle> {};
TEST_P(GoodRecogniser, AgreesWithItsGraph) {
  const onnx::Graph graph = test::RecogniserGraph(GetParam()).graph();
  const auto errors = compare(graph, convert(graph).network);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].dims, (std::vector<int64_t>{1, 40}));
  EXPECT_LE(worst(errors), 1e-6);
}
const test::RecogniserStyle kRecognisers[] = {
    {},
    {.name = "opset_13", .opset = 13, .flattening = test::Flattening::kPlumbing},
    {.name = "matmul", .flattening = test::Flattening::kReshapeOne, .matmul = true},
    {.name = "gemm_straight", .gemm_straight = true},
    {.name = "constants_as_nodes", .constants_as_nodes = true},
    {.name = "raw_pixels", .raw_pixels = true}};
INSTANTIATE_TEST_SUITE_P(Styles, GoodRecogniser, testing::ValuesIn(kRecognisers),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- damaged networks

/// Every constant of every operation, one after the other. All elements, since some of the small
/// detector's channels are dead behind their ReLU.
void expect_damage_is_seen(Damaged&& d) {
  const size_t ops = d.network.ops.size();
  for (size_t i = 0; i < ops; ++i) {
    for (const auto member : {&Op::weights, &Op::bias, &Op::slopes}) {
      d.restore();
      Op& op = d.network.ops[i];
      if ((op.*member).empty()) continue;
      for (float& v : d.copy(op.*member)) v += 0.25f;
      EXPECT_GT(d.error(), kTolerance) << op.name;
    }
  }
}
TEST(Comparison, SeesEachConstantOfADetector) { expect_damage_is_seen(Damaged(detector())); }
TEST(Comparison, SeesEachConstantOfARecogniser) { expect_damage_is_seen(Damaged(recogniser())); }

TEST(Comparison, SeesOperationsThatDoSomethingElse) {
  Damaged d(detector());
  for (size_t i = 0; i < d.network.ops.size(); ++i) {
    d.restore();
    Op& op = d.network.ops[i];
    if (op.activation == Activation::kNone) continue;
    op.activation = Activation::kSigmoid;
    EXPECT_GT(d.error(), kTolerance) << op.name;
  }
}

TEST(Comparison, SeesWrongInputScaling) {
  Damaged d(recogniser());
  d.network.input.onnx_mean += 0.01f;
  EXPECT_GT(d.error(), kTolerance);
}

TEST(Comparison, SeesOutputsMixedUp) {
  Damaged d(detector());
  d.network.outputs[0].sigmoid = false;
  EXPECT_GT(d.error(), kTolerance);
  d.restore();
  d.network.outputs[6].channel_begin = 0;
  EXPECT_GT(d.error(), kTolerance);
  d.restore();
  std::swap(d.network.outputs[3].name, d.network.outputs[4].name);
  EXPECT_THAT(d.refusal(), testing::HasSubstr("values, the weight file's"));
}

TEST(Comparison, NanNeverPasses) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const bool detects : {true, false}) {
    Damaged d(detects ? detector() : recogniser());
    for (size_t i = 0; i < d.network.ops.size(); ++i) {
      d.restore();
      Op& op = d.network.ops[i];
      if (op.weights.empty()) continue;
      d.copy(op.weights)[0] = nan;
      EXPECT_TRUE(std::isnan(d.error())) << op.name;
    }
  }
}

TEST(Comparison, NanInTheGraphNeverPassesEither) {
  onnx::Graph graph = recogniser();
  const ConvertedNetwork good = convert(graph);
  const std::string weights = graph.nodes[0].inputs[1];
  onnx::Array array = *graph.initializers.at(weights);
  array.floats[0] = std::numeric_limits<float>::quiet_NaN();
  graph.initializers[weights] = std::make_shared<const onnx::Array>(array);
  const auto errors = compare(graph, good.network);
  EXPECT_TRUE(std::isnan(errors.at(0).relative_l2));
  EXPECT_TRUE(std::isnan(errors.at(0).max_absolute));
}

TEST(Comparison, InfinityNeverPasses) {
  Damaged d(recogniser());
  d.copy(d.network.ops.back().bias)[3] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(d.error() <= kTolerance);
}

TEST(Comparison, NamesOutputsThatAreMissingOrTooMany) {
  Damaged d(detector());
  const std::string name = d.network.outputs[2].name;
  d.network.outputs[2].name = "other";
  EXPECT_EQ(d.refusal(), "test.onnx: output '" + name + "' is not in the weight file");
  d.network.outputs.pop_back();
  EXPECT_EQ(d.refusal(), "test.onnx: 9 outputs, the weight file has 8");
}

}  // namespace
}  // namespace face
