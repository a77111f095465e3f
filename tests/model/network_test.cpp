// SPDX-License-Identifier: MIT
#include "engine/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "engine/error.h"
#include "tests/support/tiny_network.h"

namespace face {
namespace {

using test::fill_detector;
using test::fill_recogniser;
using test::OwnedNetwork;

TEST(InferShapes, FollowsStridesAndPadding) {
  OwnedNetwork owned;
  fill_detector(owned);
  const auto shapes = infer_shapes(owned.network, 64, 96);
  EXPECT_EQ(shapes[1], (Shape{4, 16, 24}));
  EXPECT_EQ(shapes[2], (Shape{30, 8, 12}));
  EXPECT_EQ(mac_count(owned.network.ops[1], shapes), 30u * 4 * 9 * 8 * 12);
}

TEST(InferShapes, CeilModeDropsWindowsThatStartBehindTheInput) {
  OwnedNetwork owned;
  Network& n = owned.network;
  n.input.tensor = owned.tensor("in", 3);
  Op pool;
  pool.kind = OpKind::kMaxPool;
  pool.input = n.input.tensor;
  pool.output = owned.tensor("out", 3);
  pool.kernel_h = pool.kernel_w = pool.stride_h = pool.stride_w = 2;
  pool.ceil_mode = true;
  n.ops.push_back(pool);
  EXPECT_EQ(infer_shapes(n, 7, 8)[1], (Shape{3, 4, 4}));
  n.ops[0].kernel_h = 1;
  n.ops[0].stride_h = 3;  // rows 0, 3, 6; a fourth window would start at 9
  EXPECT_EQ(infer_shapes(n, 8, 8)[1], (Shape{3, 3, 4}));
}

TEST(InferShapes, RefusesAddendsThatDoNotFit) {
  OwnedNetwork owned;
  Network& n = owned.network;
  n.input.tensor = owned.tensor("in", 3);
  const TensorId a = owned.conv("half", n.input.tensor, 4, 3, 2);
  owned.conv("full", n.input.tensor, 4, 3, 1);
  n.ops.back().addend = a;
  n.ops.back().addend_upsampled = true;
  EXPECT_EQ(infer_shapes(n, 8, 8)[2], (Shape{4, 8, 8}));
  try {
    (void)infer_shapes(n, 7, 7);
    FAIL() << "4x4 upsampled to 8x8 was added to 7x7";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("'full'"));
  }
}

struct FaultCase {
  const char* name;
  std::function<void(OwnedNetwork&)> damage;
  const char* message;
};

class ValidateRefuses : public testing::TestWithParam<FaultCase> {};

TEST_P(ValidateRefuses, NamesTheField) {
  OwnedNetwork owned;
  fill_detector(owned);
  ASSERT_NO_THROW(validate(owned.network, "file"));
  GetParam().damage(owned);
  try {
    validate(owned.network, "file");
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadModel);
    EXPECT_THAT(e.what(), testing::StartsWith("file: "));
    EXPECT_THAT(e.what(), testing::HasSubstr(GetParam().message));
  }
}

const FaultCase kFaults[] = {
    {"unknown_role", [](auto& o) { o.network.role = NetworkRole(9); }, "role: unknown value 9"},
    {"unknown_op", [](auto& o) { o.network.ops[0].kind = OpKind(77); }, "unknown kind 77"},
    {"unknown_activation", [](auto& o) { o.network.ops[0].activation = Activation(5); },
     "op 'stem' activation: unknown value 5"},
    {"unknown_bias", [](auto& o) { o.network.ops[0].bias_kind = BiasKind(3); }, "bias kind"},
    {"tensor_id", [](auto& o) { o.network.ops[1].input = 99; }, "tensor 99"},
    {"negative_id", [](auto& o) { o.network.ops[1].output = -1; }, "tensor -1"},
    {"written_twice", [](auto& o) { o.network.ops[1].output = 1; }, "written twice"},
    {"read_before_written", [](auto& o) { std::swap(o.network.ops[0], o.network.ops[1]); },
     "read before it is written"},
    {"short_weights", [](auto& o) { o.network.ops[0].weights = o.network.ops[0].weights.first(9); },
     "op 'stem' weights: 9 values, want 108"},
    {"short_bias", [](auto& o) { o.network.ops[0].bias = {}; }, "op 'stem' bias"},
    {"border_bias_needs_padding",
     [](auto& o) {
       o.network.ops[0].bias_kind = BiasKind::kBorder9;
       o.network.ops[0].pad_top = 0;
     },
     "border classes"},
    {"groups", [](auto& o) { o.network.ops[0].groups = 2; }, "2 groups"},
    {"zero_stride", [](auto& o) { o.network.ops[0].stride_h = 0; }, "stride"},
    {"huge_padding", [](auto& o) { o.network.ops[0].pad_left = 3; }, "padding"},
    {"output_range", [](auto& o) { o.network.outputs[2].channel_count = 30; }, "output 'points'"},
    {"level_range", [](auto& o) { o.network.levels[0].landmark_channel = 11; }, "landmarks"},
    {"no_levels", [](auto& o) { o.network.levels.clear(); }, "levels: none"},
    {"nan_scale", [](auto& o) { o.network.input.pixel_scale = NAN; }, "scale"},
};
INSTANTIATE_TEST_SUITE_P(Table, ValidateRefuses, testing::ValuesIn(kFaults),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Validate, TakesARecogniserWithBorderBias) {
  OwnedNetwork owned;
  fill_recogniser(owned);
  EXPECT_NO_THROW(validate(owned.network, "file"));
  owned.network.embedding_size = 7;
  EXPECT_THROW(validate(owned.network, "file"), Error);
}

}  // namespace
}  // namespace face
