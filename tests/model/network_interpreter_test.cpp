// SPDX-License-Identifier: MIT
#include "engine/reference/network_interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/error.h"
#include "tests/support/tiny_network.h"

namespace face {
namespace {

using reference::Values;
using test::OwnedNetwork;
using testing::ElementsAre;

Values ramp(Shape shape) {
  Values v{shape, {}};
  for (int i = 0; i < shape.channels * shape.height * shape.width; ++i) v.data.push_back(i + 1);
  return v;
}

/// One op on an input tensor of `channels`; fill it in, then run().
struct OneOp : OwnedNetwork {
  OneOp(OpKind kind, int in_channels, int out_channels) {
    network.input.tensor = tensor("in", in_channels);
    op.kind = kind;
    op.input = 0;
    op.output = tensor("out", out_channels);
  }
  Values run(const Values& input) {
    network.ops = {op};
    return reference::run(network, input)[op.output];
  }
  std::span<const float> own(std::vector<float> values) {
    return arrays.emplace_back(std::move(values));
  }
  Op op;
};

TEST(NetworkInterpreter, ConvolutionPadsWithZerosAndStrides) {
  OneOp o(OpKind::kConv, 1, 1);
  o.op.kernel_h = o.op.kernel_w = 3;
  o.op.stride_h = o.op.stride_w = 2;
  o.op.pad_top = o.op.pad_left = 1;
  o.op.weights = o.own({1, 2, 3, 4, 5, 6, 7, 8, 9});
  o.op.bias_kind = BiasKind::kPerChannel;
  o.op.bias = o.own({0.5F});
  // Input 1..9 in 3x3; no padding below or right, so one window: rows and columns -1..1.
  EXPECT_THAT(o.run(ramp({1, 3, 3})).data, ElementsAre(5 * 1 + 6 * 2 + 8 * 4 + 9 * 5 + 0.5));
}

TEST(NetworkInterpreter, GroupsSeeTheirOwnChannels) {
  OneOp o(OpKind::kConv, 4, 2);
  o.op.groups = 2;
  o.op.weights = o.own({1, 10, 100, 1000});
  o.op.activation = Activation::kClip;
  o.op.clip_high = 4000;
  const Values in{{4, 1, 1}, {1, 2, 3, 4}};
  EXPECT_THAT(o.run(in).data, ElementsAre(21, 4000));
}

TEST(NetworkInterpreter, MaxPoolKeepsNan) {
  OneOp o(OpKind::kMaxPool, 1, 1);
  o.op.kernel_w = 2;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Values out = o.run({{1, 1, 4}, {nan, 1, 2, nan}});
  EXPECT_THAT(out.data, ElementsAre(testing::IsNan(), 2, testing::IsNan()));
}

TEST(NetworkInterpreter, AddendMayBeUpsampledAndComesBeforeTheActivation) {
  OneOp o(OpKind::kAdd, 1, 1);
  OwnedNetwork& n = o;
  Op pool;
  pool.kind = OpKind::kMaxPool;
  pool.kernel_h = pool.kernel_w = pool.stride_h = pool.stride_w = 2;
  pool.input = 0;
  pool.output = n.tensor("pooled", 1);
  o.op.addend = pool.output;
  o.op.addend_upsampled = true;
  o.op.activation = Activation::kPrelu;
  o.op.slopes = o.own({-1});
  n.network.ops = {pool, o.op};
  const Values in{{1, 2, 4}, {-9, -8, 1, 2, -7, -6, 3, 4}};
  EXPECT_THAT(reference::run(n.network, in)[o.op.output].data,
              ElementsAre(15, 14, 5, 6, 13, 12, 7, 8));
}

TEST(NetworkInterpreter, BorderBiasIsABatchNormBeforeAPaddedConvolution) {
  constexpr float kScale = 2.F, kShift = -3.F;
  for (const int stride : {1, 2}) {
    OwnedNetwork unfused;
    unfused.network.input.tensor = unfused.tensor("in", 1);
    Op norm;
    norm.kind = OpKind::kAffine;
    norm.input = 0;
    norm.output = unfused.tensor("norm", 1);
    norm.weights = unfused.arrays.emplace_back(1, kScale);
    norm.bias_kind = BiasKind::kPerChannel;
    norm.bias = unfused.arrays.emplace_back(1, kShift);
    unfused.network.ops = {norm};
    const TensorId out = unfused.conv("conv", norm.output, 1, 3, stride);

    OneOp fused(OpKind::kConv, 1, 1);
    fused.op = unfused.network.ops[1];
    fused.op.input = 0;
    fused.op.output = 1;
    std::vector<float> weights, bias(9, unfused.network.ops[1].bias[0]);
    for (const float w : unfused.network.ops[1].weights) weights.push_back(w * kScale);
    for (int row = 0; row < 9; ++row)
      for (int k = 0; k < 9; ++k) {
        const bool above = k / 3 == 0 && row / 3 == 0, below = k / 3 == 2 && row / 3 == 2;
        const bool left = k % 3 == 0 && row % 3 == 0, right = k % 3 == 2 && row % 3 == 2;
        if (!above && !below && !left && !right)
          bias[row] += kShift * unfused.network.ops[1].weights[k];
      }
    fused.op.weights = fused.own(weights);
    fused.op.bias_kind = BiasKind::kBorder9;
    fused.op.bias = fused.own(bias);
    for (const Shape shape : {Shape{1, 5, 7}, Shape{1, 4, 4}, Shape{1, 2, 3}}) {
      const Values in = ramp(shape);
      EXPECT_EQ(fused.run(in).data, reference::run(unfused.network, in)[out].data);
    }
  }
}

TEST(NetworkInterpreter, AveragePoolCountsPaddingOnlyWhenAsked) {
  OneOp o(OpKind::kAveragePool, 1, 1);
  o.op.kernel_h = o.op.kernel_w = 2;
  o.op.stride_h = o.op.stride_w = 2;
  o.op.pad_top = o.op.pad_left = o.op.pad_bottom = o.op.pad_right = 1;
  EXPECT_THAT(o.run(ramp({1, 2, 2})).data, ElementsAre(1, 2, 3, 4));
  o.op.count_include_pad = true;
  EXPECT_THAT(o.run(ramp({1, 2, 2})).data, ElementsAre(0.25, 0.5, 0.75, 1));
}

TEST(NetworkInterpreter, CeilModeWindowsMayEndBehindTheInput) {
  OneOp o(OpKind::kMaxPool, 1, 1);
  o.op.kernel_h = o.op.kernel_w = o.op.stride_h = o.op.stride_w = 2;
  o.op.ceil_mode = true;
  EXPECT_THAT(o.run(ramp({1, 3, 3})).data, ElementsAre(5, 6, 8, 9));
}

TEST(NetworkInterpreter, FullyConnectedFlattensChannelsFirst) {
  OneOp o(OpKind::kFullyConnected, 2, 1);
  o.op.weights = o.own({1, 0, 0, 10});
  o.op.activation = Activation::kSigmoid;
  const Values in{{2, 1, 2}, {0.25, 5, 6, -0.025}};
  EXPECT_DOUBLE_EQ(o.run(in).data.at(0), 1 / (1 + std::exp(-0.25 + 0.25)));
}

TEST(NetworkInterpreter, RefusesAnInputThatDoesNotFit) {
  OneOp o(OpKind::kUpsample2x, 1, 1);
  EXPECT_THROW(o.run(ramp({2, 2, 2})), Error);
  EXPECT_THAT(o.run(ramp({1, 1, 2})).data, ElementsAre(1, 1, 2, 2, 1, 1, 2, 2));
}

}  // namespace
}  // namespace face
