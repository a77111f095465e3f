// SPDX-License-Identifier: MIT
#include "weights_tool/passes/passes.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/error.h"
#include "tests/support/graph_builder.h"
#include "tests/weights_tool/network_check.h"

namespace face {
namespace {

using test::expect_same_drafts;
using test::GraphBuilder;
using Window = GraphBuilder::Window;

Draft lower(const GraphBuilder& b) { return Lowering(b.graph(), NetworkRole::kDetector).run(); }

size_t count(const Draft& draft, OpKind kind) {
  return std::count_if(draft.network.ops.begin(), draft.network.ops.end(),
                       [&](const Op& op) { return op.kind == kind; });
}

/// A map of `channels` to put a pass to work on.
std::string stem(GraphBuilder& b, int64_t channels) {
  return b.node("Relu", {b.conv("data", channels, {})});
}

/// Runs one pass on the graph; the result must compute what the unfused one does.
Draft check_pass(GraphBuilder& b, const std::string& result, void (*pass)(Draft&)) {
  b.output(b.rows(result, 1));
  const Draft plain = lower(b);
  Draft passed = plain;
  pass(passed);
  remove_unused(passed);
  expect_same_drafts(plain, passed);
  return passed;
}

// ---- BatchNorm before a convolution

struct BeforeCase {
  const char* name;
  int64_t height, width, channels;
  Window window;
  BiasKind bias;
  bool folded = true;
};

class AffineBefore : public testing::TestWithParam<BeforeCase> {};

TEST_P(AffineBefore, IsExactAtTheBorder) {
  const BeforeCase& c = GetParam();
  GraphBuilder b({1, 3, c.height, c.width});
  const auto x =
      b.conv(b.batch_norm(stem(b, c.channels)), c.window.groups > 1 ? c.channels : 28, c.window);
  const Draft folded = check_pass(b, x, fold_affine_before);
  EXPECT_EQ(count(folded, OpKind::kAffine), c.folded ? 0u : 1u);
  EXPECT_EQ(folded.network.ops.back().bias_kind, c.bias);
}

constexpr BiasKind kBorder = BiasKind::kBorder9, kPlain = BiasKind::kPerChannel;
const BeforeCase kBeforeCases[] = {
    {"same", 8, 8, 28, {3, 1, 1, 1, true}, kBorder},
    {"odd", 7, 9, 28, {3, 1, 1, 1, true}, kBorder},
    {"stride_2_even", 8, 6, 5, {3, 2, 1, 1, true}, kBorder},
    {"stride_2_odd", 7, 5, 5, {3, 2, 1, 1, true}, kBorder},
    {"no_bias", 7, 9, 28, {3, 1, 1, 1, false}, kBorder},
    {"smallest", 2, 2, 4, {3, 1, 1, 1, true}, kBorder},
    {"depthwise", 7, 9, 28, {3, 1, 1, 28, true}, kBorder},
    {"groups", 7, 9, 28, {3, 1, 1, 4, false}, kBorder},
    {"pointwise", 7, 9, 28, {1, 1, 0, 1, true}, kPlain},
    {"unpadded", 7, 9, 28, {3, 1, 0, 1, false}, kPlain},
    {"whole_map_depthwise", 7, 7, 28, {7, 1, 0, 28, false}, kPlain},
    {"five_by_five_stays", 7, 9, 28, {5, 1, 2, 1, true}, kPlain, false},
    {"one_row_stays", 1, 9, 4, {3, 1, 1, 1, true}, kPlain, false},
};
INSTANTIATE_TEST_SUITE_P(Table, AffineBefore, testing::ValuesIn(kBeforeCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AffineBefore, UnevenPaddingStays) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = b.conv(b.batch_norm(stem(b, 4)), 4, {});
  b.graph().nodes.back().attributes["pads"] = GraphBuilder::Dims{0, 0, 1, 1};
  EXPECT_EQ(count(check_pass(b, x, fold_affine_before), OpKind::kAffine), 1u);
}

TEST(AffineBefore, ScaleAloneNeedsNoBorder) {
  GraphBuilder b({1, 3, 7, 9});
  const auto scaled = b.node("Mul", {stem(b, 28), b.weights({28, 1, 1}, 0.5f, 2.f)});
  const Draft folded = check_pass(b, b.conv(scaled, 8, {5, 1, 2, 1, true}), fold_affine_before);
  EXPECT_EQ(count(folded, OpKind::kAffine), 0u);
  EXPECT_EQ(folded.network.ops.back().bias_kind, BiasKind::kPerChannel);
}

TEST(AffineBefore, GoesIntoEveryReader) {
  GraphBuilder b({1, 3, 7, 9});
  const auto norm = b.batch_norm(stem(b, 6));
  const auto sum = b.node("Add", {b.conv(norm, 8, {}), b.conv(norm, 8, {1, 1, 0, 1, true})});
  EXPECT_EQ(count(check_pass(b, sum, fold_affine_before), OpKind::kAffine), 0u);
}

TEST(AffineBefore, StaysWhereAReaderIsNoLayer) {
  GraphBuilder b({1, 3, 7, 9});
  const auto norm = b.batch_norm(stem(b, 6));
  const auto sum = b.node("Add", {b.conv(norm, 6, {}), norm});
  EXPECT_EQ(count(check_pass(b, sum, fold_affine_before), OpKind::kAffine), 1u);
}

/// Recognisers end in a vector.
Draft check_vector(GraphBuilder& b, const std::string& result, void (*pass)(Draft&)) {
  b.output(result);
  const Draft plain = Lowering(b.graph(), NetworkRole::kRecogniser).run();
  Draft passed = plain;
  pass(passed);
  remove_unused(passed);
  expect_same_drafts(plain, passed);
  return passed;
}

TEST(AffineBefore, GoesIntoFullyConnectedThroughFlatten) {
  GraphBuilder b({1, 3, 5, 7});
  const auto flat = b.node("Flatten", {b.batch_norm(stem(b, 28))});
  const Draft folded = check_vector(b, b.gemm(flat, 28 * 35, 40), fold_affine_before);
  EXPECT_EQ(count(folded, OpKind::kAffine), 0u);
}

// ---- BatchNorm after a layer

class AffineAfter : public testing::TestWithParam<BeforeCase> {};

TEST_P(AffineAfter, GoesIntoWeightsAndBias) {
  const BeforeCase& c = GetParam();
  GraphBuilder b({1, 3, c.height, c.width});
  const auto x =
      b.batch_norm(b.conv(stem(b, c.channels), c.window.groups > 1 ? c.channels : 28, c.window));
  const Draft folded = check_pass(b, x, fold_affine_after);
  EXPECT_EQ(count(folded, OpKind::kAffine), 0u);
}
const BeforeCase kAfterCases[] = {
    {"same", 7, 9, 28, {3, 1, 1, 1, true}, kPlain},
    {"no_bias", 7, 9, 28, {3, 2, 1, 1, false}, kPlain},
    {"depthwise", 7, 9, 28, {5, 1, 2, 28, false}, kPlain},
    {"groups", 7, 9, 28, {3, 1, 1, 7, true}, kPlain},
};
INSTANTIATE_TEST_SUITE_P(Table, AffineAfter, testing::ValuesIn(kAfterCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AffineAfter, ScalesABorderBiasToo) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = b.batch_norm(b.conv(b.batch_norm(stem(b, 28)), 28, {}));
  const Draft folded = check_pass(b, x, [](Draft& d) {
    fold_affine_before(d);
    fold_affine_after(d);
  });
  EXPECT_EQ(count(folded, OpKind::kAffine), 0u);
  EXPECT_EQ(folded.network.ops.back().bias_kind, BiasKind::kBorder9);
}

TEST(AffineAfter, GoesIntoFullyConnected) {
  GraphBuilder b({1, 3, 5, 7});
  const auto fc = b.gemm(b.node("Flatten", {stem(b, 4)}), 4 * 35, 40);
  const Draft folded = check_vector(b, b.batch_norm(fc), fold_affine_after);
  EXPECT_EQ(count(folded, OpKind::kAffine), 0u);
}

TEST(AffineAfter, StaysBehindAnActivationOrASecondReader) {
  GraphBuilder b({1, 3, 7, 9});
  const auto conv = b.conv("data", 6, {});
  const auto sum = b.node("Add", {b.batch_norm(conv), conv});
  const Draft folded = check_pass(b, b.batch_norm(b.node("Relu", {sum})), fold_affine_after);
  EXPECT_EQ(count(folded, OpKind::kAffine), 2u);
}

TEST(AffineAfter, SharedWeightsAreScaledOnceEach) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = stem(b, 6);
  const auto w = b.weights({6, 6, 3, 3}), bias = b.weights({6});
  const auto scaled = [&](float factor) {
    return b.node("Mul", {b.conv_with({x, w, bias}, 6, {}), b.floats({}, {factor})});
  };
  const auto first = scaled(2.f);
  const auto sum = b.node("Add", {b.node("Add", {first, scaled(3.f)}), scaled(1.f)});
  EXPECT_EQ(count(check_pass(b, sum, fold_affine_after), OpKind::kAffine), 0u);
}

// ---- input

TEST(InputNormalisation, TakesSubAndMul) {
  GraphBuilder b({1, 3, 7, 9});
  const auto centred = b.node("Sub", {"data", b.floats({}, {127.5f})});
  const auto scaled = b.node("Mul", {centred, b.floats({1}, {0.0078125f})});
  const Draft folded = check_pass(b, b.conv(scaled, 5, {}), [](Draft& d) {
    merge_affines(d);
    fold_input_normalisation(d);
  });
  EXPECT_EQ(folded.network.ops.size(), 1u);
  EXPECT_EQ(folded.network.input.onnx_mean, 127.5f);
  EXPECT_EQ(folded.network.input.onnx_scale, 0.0078125f);
}

TEST(InputNormalisation, LeavesWhatDiffersPerChannelToTheConvolution) {
  GraphBuilder b({1, 3, 7, 9});
  const auto centred = b.node("Sub", {"data", b.floats({3, 1, 1}, {1.f, 2.f, 3.f})});
  const Draft folded = check_pass(b, b.conv(centred, 5, {}), run_passes_before_heads);
  ASSERT_EQ(folded.network.ops.size(), 1u);
  EXPECT_EQ(folded.network.ops[0].bias_kind, BiasKind::kBorder9);
  EXPECT_EQ(folded.network.input.onnx_scale, 1.f);
}

TEST(InputNormalisation, DividesAndSubtractsFromConstants) {
  GraphBuilder b({1, 3, 7, 9});
  const auto divided = b.node("Div", {"data", b.floats({1, 1, 1, 1}, {4.f})});
  const auto negative = b.node("Sub", {b.floats({}, {0.5f}), divided});
  const Draft folded = check_pass(b, b.conv(negative, 5, {}), run_passes_before_heads);
  EXPECT_EQ(folded.network.ops.size(), 1u);
}

// ---- pools

struct PoolCase {
  const char* name;
  int64_t height, width;
  bool folded;
};
class PoolIntoConv : public testing::TestWithParam<PoolCase> {};

TEST_P(PoolIntoConv, OnlyWhereTheMapIsAlwaysEven) {
  const PoolCase& c = GetParam();
  GraphBuilder b({1, 3, c.height, c.width});
  auto attributes = GraphBuilder::window({2, 2, 0, 1, false});
  attributes["ceil_mode"] = int64_t{1};
  const auto x = b.conv(b.node("AveragePool", {stem(b, 28)}, attributes), 12, {1, 1, 0, 1, true});
  const Draft folded = check_pass(b, x, fold_pool_into_conv);
  EXPECT_EQ(count(folded, OpKind::kAveragePool), c.folded ? 0u : 1u);
}
constexpr PoolCase kPoolCases[] = {
    {"even", 32, 64, true}, {"odd_height", 33, 64, false}, {"odd_width", 64, 31, false}};
INSTANTIATE_TEST_SUITE_P(Table, PoolIntoConv, testing::ValuesIn(kPoolCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(PoolIntoConv, StaysBelowStride32) {
  GraphBuilder b({1, 3, 64, 64});
  auto x = stem(b, 4);
  for (int i = 0; i < 5; ++i) x = b.conv(x, 4, {3, 2, 1, 1, true});
  const auto pool = b.node("AveragePool", {x}, GraphBuilder::window({2, 2, 0, 1, false}));
  const Draft folded = check_pass(b, b.conv(pool, 4, {1, 1, 0, 1, true}), fold_pool_into_conv);
  EXPECT_EQ(count(folded, OpKind::kAveragePool), 1u) << "an input of 32 has one pixel here";
}

// ---- epilogues

TEST(Epilogues, ReluPreluAndClipMoveIntoTheirProducers) {
  GraphBuilder b({1, 3, 7, 9});
  auto x = b.prelu(b.conv("data", 28, {}));
  x = b.node("Clip", {b.conv(x, 5, {}), b.floats({}, {0.f}), b.floats({}, {6.f})});
  x = b.node("LeakyRelu", {b.conv(x, 5, {})}, {{"alpha", 0.1f}});
  const Draft fused = check_pass(b, x, attach_activations);
  ASSERT_EQ(fused.network.ops.size(), 3u);
  EXPECT_EQ(fused.network.ops[0].activation, Activation::kPrelu);
  EXPECT_EQ(fused.network.ops[1].activation, Activation::kClip);
  EXPECT_EQ(fused.network.ops[1].clip_high, 6.f);
  EXPECT_EQ(fused.network.ops[2].activation, Activation::kPrelu);
}

TEST(Epilogues, ActivationOfASharedTensorStays) {
  GraphBuilder b({1, 3, 7, 9});
  const auto conv = b.conv("data", 5, {});
  const auto sum = b.node("Add", {b.node("Relu", {conv}), conv});
  EXPECT_EQ(count(check_pass(b, sum, attach_activations), OpKind::kActivation), 1u);
}

TEST(Epilogues, ResidualSumAndItsActivationMoveIntoTheConvolution) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = stem(b, 28);
  const auto main = b.conv(b.node("Relu", {b.conv(x, 28, {})}), 28, {});
  const auto shortcut = b.conv(x, 28, {1, 1, 0, 1, true});  // runs after the main branch
  const Draft fused =
      check_pass(b, b.prelu(b.node("Add", {main, shortcut})), run_passes_before_heads);
  ASSERT_EQ(fused.network.ops.size(), 4u);
  EXPECT_EQ(fused.network.ops[3].kernel_h, 3) << "the larger convolution takes the sum";
  EXPECT_NE(fused.network.ops[3].addend, kNoTensor);
  EXPECT_EQ(fused.network.ops[3].activation, Activation::kPrelu);
}

TEST(Epilogues, SumOfActivatedTensorsStays) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = stem(b, 6);
  const auto sum = b.node("Add", {b.node("Relu", {b.conv(x, 6, {})}), x});
  const Draft fused = check_pass(b, b.node("Relu", {sum}), run_passes_before_heads);
  EXPECT_EQ(count(fused, OpKind::kAdd), 1u);
  EXPECT_EQ(count(fused, OpKind::kActivation), 0u);
}

TEST(Epilogues, SumWithItselfStays) {
  GraphBuilder b({1, 3, 7, 9});
  const auto conv = b.conv("data", 5, {});
  EXPECT_EQ(count(check_pass(b, b.node("Add", {conv, conv}), attach_addends), OpKind::kAdd), 1u);
}

/// Upsampling by 2 as opset 11 writes it with scales.
std::string upsample(GraphBuilder& b, const std::string& x) {
  return b.node("Resize", {x, "", b.floats({4}, {1, 1, 2, 2})},
                {{"mode", std::string("nearest")},
                 {"coordinate_transformation_mode", std::string("asymmetric")},
                 {"nearest_mode", std::string("floor")}});
}

TEST(Epilogues, UpsampledSumMovesIntoTheLateralConvolution) {
  for (const bool upsampled_first : {false, true}) {
    GraphBuilder b({1, 3, 10, 14});
    const auto x = stem(b, 28);
    const auto lateral = b.conv(x, 28, {1, 1, 0, 1, true});
    const auto top = upsample(b, b.conv(x, 28, {3, 2, 1, 1, true}));
    const auto sum =
        upsampled_first ? b.node("Add", {top, lateral}) : b.node("Add", {lateral, top});
    const Draft fused = check_pass(b, sum, attach_addends);
    EXPECT_EQ(count(fused, OpKind::kAdd), 0u);
    EXPECT_EQ(count(fused, OpKind::kUpsample2x), 0u);
    EXPECT_TRUE(fused.network.ops.back().addend_upsampled);
  }
}

TEST(Epilogues, UpsamplingThatOthersReadStays) {
  GraphBuilder b({1, 3, 10, 14});
  const auto x = stem(b, 4);
  const auto top = upsample(b, b.conv(x, 4, {3, 2, 1, 1, true}));
  const auto sum = b.node("Add", {b.conv(x, 4, {}), top});
  const Draft fused = check_pass(b, b.node("Add", {b.node("Relu", {sum}), top}), attach_addends);
  EXPECT_EQ(count(fused, OpKind::kUpsample2x), 1u);
}

TEST(Cleanup, DropsWhatNoOutputNeeds) {
  GraphBuilder b({1, 3, 7, 9});
  const auto x = stem(b, 4);
  (void)b.conv(x, 9, {});
  const Draft kept = check_pass(b, b.conv(x, 4, {}), remove_unused);
  EXPECT_EQ(kept.network.ops.size(), 3u);
  EXPECT_EQ(kept.network.tensors.size(), 4u);
}

}  // namespace
}  // namespace face
