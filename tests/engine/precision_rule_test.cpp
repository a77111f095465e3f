// SPDX-License-Identifier: MIT
// tests/engine/precision_rule_test.cpp - bf16 gives way to more exact layers where a network needs
// it.
#include "engine/cpu/precision_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/cpu/executor.h"
#include "tests/engine/op_cases.h"
#include "tests/engine/timed_conv.h"

namespace face {
namespace {

using cpu::Candidate;
using cpu::TimedConv;
using test::timed;
using Ways = std::vector<std::string>;

Ways names(const std::vector<TimedConv>& convs, double price) {
  Ways result;
  for (const Candidate* way : cpu::choose_ways(convs, 1 << 20, price)) result.push_back(way->name);
  return result;
}

TEST(ChooseWays, ErrorsGiveWayWhereTheyGainLeast) {
  const std::vector<TimedConv> convs = {timed(10, 6, 1), timed(10, 3, 2.5), timed(1, 2, 3)};
  EXPECT_EQ(names(convs, 0), (Ways{"coarse", "coarse", "exact"}));
  EXPECT_EQ(names(convs, 1e4), (Ways{"coarse", "middling", "exact"}));
  EXPECT_EQ(names(convs, 1e5), (Ways{"middling", "middling", "exact"}));
  EXPECT_EQ(names(convs, 1e9), (Ways{"exact", "exact", "exact"}));
  EXPECT_DOUBLE_EQ(cpu::least_milliseconds(convs), 4.5);
}

TEST(ChooseWays, WeightsStayWithinTheirBudget) {
  const std::vector<TimedConv> convs = {timed(3, 2, 1)};
  EXPECT_EQ(cpu::choose_ways(convs, 250, 0)[0]->name, "middling");
  EXPECT_EQ(cpu::choose_ways(convs, 250, 1e9)[0]->name, "exact");
}

TEST(Agree, EachOutputCountsAndNanNever) {
  const std::vector<std::vector<float>> exact = {{3, 4}, {0, 0}, {100, 0}};
  EXPECT_TRUE(cpu::agree(exact, exact, 0));
  EXPECT_TRUE(cpu::agree({{3, 4.04f}, {0, 0}, {100, 0}}, exact, 0.01));
  EXPECT_FALSE(cpu::agree({{3, 4.06f}, {0, 0}, {100, 0}}, exact, 0.01));
  EXPECT_FALSE(cpu::agree({{3, 4}, {1e-6f, 0}, {100, 0}}, exact, 0.01));
  EXPECT_FALSE(cpu::agree({{3, 4}, {0, 0}, {100, std::nanf("")}}, exact, 0.01));
}

TEST(ProbePictures, AreInRangeAndVaried) {
  const auto pictures = cpu::probe_pictures({3, 40, 56});
  ASSERT_EQ(pictures.size(), 2u);
  for (const std::vector<float>& picture : pictures) {
    ASSERT_EQ(picture.size(), 3u * 40 * 56);
    double sum = 0, squares = 0;
    for (const float v : picture) {
      EXPECT_TRUE(v >= -1.f && v <= 1.f);
      sum += v;
      squares += double(v) * v;
    }
    const double mean = sum / double(picture.size());
    EXPECT_LT(std::abs(mean), 0.3);
    EXPECT_GT(squares / double(picture.size()) - mean * mean, 0.1);
  }
}

/// Layers of 3x3 convolutions on 32 channels behind a first one, the last of them not leaving.
void fill_chain(test::OwnedNetwork& owned, int layers) {
  test::fill_op_case(owned, {.name = "op0", .in = 32, .out = 32, .height = 24, .width = 24});
  Network& n = owned.network;
  Op last = n.ops.back();
  n.ops.pop_back();
  for (int i = 1; i < layers; ++i) {
    Op op = n.ops.back();
    op.name = "op" + std::to_string(i);
    op.input = n.ops.back().output;
    op.output = owned.tensor(op.name.c_str(), 32);
    op.weights = test::random_values(owned, size_t{32} * 32 * 9, 0.1f, 40 + i);
    n.ops.push_back(op);
  }
  last.input = n.ops.back().output;
  n.ops.push_back(last);
}

/// The network's answer to the smooth probe picture, its 3x3 convolutions computed in `ways` alone.
std::vector<float> answer(const Network& network, Precision precision, const Ways& ways,
                          double bf16_error) {
  cpu::ExecutorOptions options;
  options.compile = {.precision = precision, .max_batch = 1, .threads = 1};
  options.bf16_error = bf16_error;
  options.accept = [&](const Op& op, const std::string& way) {
    return op.kernel_h != 3 || std::find(ways.begin(), ways.end(), way) != ways.end();
  };
  const auto executable = cpu::make_executor(network, options);
  const std::vector<float> picture =
      cpu::probe_pictures({3, network.input.height, network.input.width})[0];
  executable->run(picture.data(), 1);
  const auto output = executable->output(network.outputs[0].tensor);
  return {output.begin(), output.end()};
}

TEST(Executor, FallsBackToMoreExactWays) {
  constexpr double kTolerance = 5.5e-3;  // between what the two ways give on all layers
  test::OwnedNetwork owned;
  fill_chain(owned, 8);
  validate(owned.network, "test");
  const Ways coarse = {"winograd4x4_bf16"}, both = {"winograd2x2_bf16", "winograd4x4_bf16"};
  const auto exact = answer(owned.network, Precision::kFp32, {"direct"}, 0);
  const auto off = answer(owned.network, Precision::kBf16, coarse, kTolerance);
  const auto held = answer(owned.network, Precision::kBf16, both, kTolerance);
  EXPECT_FALSE(cpu::agree({off}, {exact}, kTolerance));
  EXPECT_TRUE(cpu::agree({held}, {exact}, kTolerance));
}

}  // namespace
}  // namespace face
