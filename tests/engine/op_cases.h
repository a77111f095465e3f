// SPDX-License-Identifier: MIT
// tests/engine/op_cases.h - networks of one op with seeded weights, on shapes that break naive
// code.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/tiny_network.h"

namespace face::test {

/// The op of a network whose input has `in` channels, widened from 3 by a 1x1 convolution; another
/// one makes its addend.
struct OpCase {
  const char* name = "";
  OpKind kind = OpKind::kConv;
  int in = 8, out = 8, height = 9, width = 11;
  int groups = 1, kernel = 3, stride = 1, pad = 1;
  Activation activation = Activation::kNone;
  BiasKind bias = BiasKind::kPerChannel;
  bool addend = false, upsampled = false;
  int stride_w = 0;  // 0: stride
  bool ceil_mode = false, count_include_pad = false;
  bool pooled = false;       // a 2x2 max-pool follows
  int depthwise_stride = 0;  // of a depthwise convolution before it; 0: none
};

inline std::span<const float> random_values(OwnedNetwork& owned, size_t count, float scale,
                                            unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> distribution(-scale, scale);
  auto& array = owned.arrays.emplace_back(count);
  for (float& value : array) value = distribution(generator);
  return array;
}

inline Op random_conv(OwnedNetwork& owned, const char* name, TensorId input, int channels,
                      unsigned seed) {
  const int in = owned.network.tensors[input].channels;
  Op op;
  op.name = name;
  op.input = input;
  op.output = owned.tensor(name, channels);
  op.weights = random_values(owned, size_t(in) * channels, 1.f, seed);
  op.bias_kind = BiasKind::kPerChannel;
  op.bias = random_values(owned, channels, 0.5f, seed + 1);
  return op;
}

inline void set_activation(OwnedNetwork& owned, Op& op, Activation activation, int channels) {
  op.activation = activation;
  if (activation == Activation::kPrelu) op.slopes = random_values(owned, channels, 0.5f, 77);
  if (activation == Activation::kClip) {
    op.clip_low = -0.25f;
    op.clip_high = 0.75f;
  }
}

inline void set_weights(OwnedNetwork& owned, Op& op, const OpCase& c) {
  size_t fan = 0;
  if (c.kind == OpKind::kConv) fan = size_t(c.in / c.groups) * c.kernel * c.kernel;
  if (c.kind == OpKind::kFullyConnected) fan = size_t(c.in) * c.height * c.width;
  if (c.kind == OpKind::kAffine) fan = 1;
  if (fan == 0) return;
  op.weights = random_values(owned, fan * c.out, 1.f / std::sqrt(static_cast<float>(fan)), 5);
  op.bias_kind = c.bias;
  const size_t rows = c.bias == BiasKind::kBorder9 ? 9 : 1;
  if (c.bias != BiasKind::kNone) op.bias = random_values(owned, rows * c.out, 1.f, 6);
}

inline void set_window(Op& op, const OpCase& c) {
  op.groups = c.groups;
  op.kernel_h = op.kernel_w = c.kernel;
  op.stride_h = c.stride;
  op.stride_w = c.stride_w == 0 ? c.stride : c.stride_w;
  op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = c.pad;
  op.ceil_mode = c.ceil_mode;
  op.count_include_pad = c.count_include_pad;
}

/// Returns its output: as many channels, height and width divided by `stride`.
inline TensorId add_depthwise(OwnedNetwork& owned, TensorId input, int stride) {
  const int channels = owned.network.tensors[input].channels;
  Op op;
  op.name = "depthwise";
  op.input = input;
  op.output = owned.tensor("depthwise", channels);
  op.groups = channels;
  op.kernel_h = op.kernel_w = 3;
  op.stride_h = op.stride_w = stride;
  op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = 1;
  op.weights = random_values(owned, size_t(9) * channels, 0.33f, 11);
  op.bias_kind = BiasKind::kPerChannel;
  op.bias = random_values(owned, channels, 0.5f, 12);
  set_activation(owned, op, Activation::kPrelu, channels);
  owned.network.ops.push_back(op);
  return op.output;
}

inline void fill_op_case(OwnedNetwork& owned, const OpCase& c) {
  Network& n = owned.network;
  n.role = NetworkRole::kRecogniser;
  n.input = {.name = "x", .tensor = owned.tensor("x", 3), .height = c.height, .width = c.width};
  n.ops.push_back(random_conv(owned, "widen", n.input.tensor, c.in, 1));
  Op op;
  op.kind = c.kind;
  op.name = c.name;
  op.input = n.ops[0].output;
  if (c.depthwise_stride > 0) op.input = add_depthwise(owned, op.input, c.depthwise_stride);
  if (c.kind != OpKind::kFullyConnected) set_window(op, c);
  if (c.addend) {
    Op other = random_conv(owned, "addend", n.input.tensor, c.out, 3);
    other.stride_h = other.stride_w = c.upsampled ? 2 * c.stride : c.stride;
    op.addend = other.output;
    op.addend_upsampled = c.upsampled;
    n.ops.push_back(other);
  }
  op.output = owned.tensor("y", c.out);
  set_weights(owned, op, c);
  set_activation(owned, op, c.activation, c.out);
  n.ops.push_back(op);
  if (c.pooled) {
    Op pool;
    pool.kind = OpKind::kMaxPool;
    pool.name = "pool";
    pool.kernel_h = pool.kernel_w = pool.stride_h = pool.stride_w = 2;
    pool.input = op.output;
    pool.output = op.output = owned.tensor("pool", c.out);
    n.ops.push_back(pool);
  }
  Op last;  // so that the op's numbers do not leave the network, and bfloat16 may compute it
  last.kind = OpKind::kActivation;
  last.name = "last";
  last.input = op.output;
  last.output = owned.tensor("z", c.out);
  n.ops.push_back(last);
  n.outputs = {{"z", last.output, 0, c.out, c.out, false, true}};
  n.embedding_size = c.out;
}

// clang-format off
inline std::vector<OpCase> op_cases() {
  using enum Activation;
  using enum OpKind;
  constexpr BiasKind kNoBias = BiasKind::kNone, kBorder = BiasKind::kBorder9;
  return {
      {.name = "conv_odd", .in = 5, .out = 7},
      {.name = "conv_28", .in = 28, .out = 28, .height = 20, .width = 20, .activation = kRelu},
      {.name = "conv_56_to_88", .in = 56, .out = 88, .height = 13, .width = 10},
      {.name = "conv_stride2_odd", .in = 16, .out = 24, .height = 11, .width = 14, .stride = 2, .activation = kRelu},
      {.name = "conv_stride2_even", .in = 16, .out = 32, .height = 16, .width = 16, .stride = 2, .activation = kPrelu},
      {.name = "conv_1x1", .in = 24, .out = 40, .kernel = 1, .pad = 0, .activation = kPrelu},
      {.name = "conv_1x1_stride2", .in = 24, .out = 40, .kernel = 1, .stride = 2, .pad = 0},
      {.name = "conv_2x2_stride2", .in = 12, .out = 20, .height = 12, .width = 10, .kernel = 2, .stride = 2, .pad = 0},
      {.name = "conv_5x5", .in = 8, .out = 16, .kernel = 5, .pad = 2},
      {.name = "conv_no_bias", .in = 16, .out = 16, .bias = kNoBias},
      {.name = "conv_clip", .in = 16, .out = 16, .activation = kClip},
      {.name = "conv_sigmoid", .in = 16, .out = 10, .activation = kSigmoid},
      {.name = "conv_border", .in = 16, .out = 16, .bias = kBorder},
      {.name = "conv_border_prelu_28", .in = 28, .out = 28, .height = 7, .width = 7, .activation = kPrelu, .bias = kBorder},
      {.name = "conv_border_stride2", .in = 16, .out = 16, .height = 8, .width = 9, .stride = 2, .bias = kBorder},
      {.name = "conv_border_2x2_input", .in = 16, .out = 16, .height = 2, .width = 2, .bias = kBorder},
      {.name = "conv_addend_relu", .in = 32, .out = 32, .activation = kRelu, .addend = true},
      {.name = "conv_addend_prelu", .in = 32, .out = 32, .activation = kPrelu, .addend = true},
      {.name = "conv_border_addend", .in = 24, .out = 24, .bias = kBorder, .addend = true},
      {.name = "conv_upsampled", .in = 16, .out = 56, .height = 12, .width = 8, .activation = kRelu, .addend = true, .upsampled = true},
      {.name = "conv_1x1_upsampled", .in = 16, .out = 24, .height = 6, .width = 10, .kernel = 1, .pad = 0, .addend = true, .upsampled = true},
      {.name = "conv_pooled", .in = 28, .out = 30, .height = 12, .width = 10, .activation = kRelu, .pooled = true},
      {.name = "conv_pooled_odd", .in = 16, .out = 16, .height = 9, .width = 10, .pooled = true},
      {.name = "conv_1x1_pooled", .in = 24, .out = 40, .height = 6, .width = 8, .kernel = 1, .pad = 0, .activation = kPrelu, .pooled = true},
      {.name = "conv_border_pooled", .in = 16, .out = 16, .height = 8, .width = 6, .bias = kBorder, .pooled = true},
      {.name = "conv_addend_pooled", .in = 16, .out = 16, .height = 8, .width = 6, .addend = true, .pooled = true},
      {.name = "conv_sigmoid_pooled", .in = 16, .out = 10, .height = 8, .width = 6, .activation = kSigmoid, .pooled = true},
      {.name = "groups_pooled", .in = 24, .out = 32, .height = 8, .width = 8, .groups = 4, .pooled = true},
      {.name = "separable", .in = 20, .out = 35, .kernel = 1, .pad = 0, .activation = kRelu, .depthwise_stride = 1},
      {.name = "separable_stride2", .in = 64, .out = 64, .height = 14, .width = 18, .kernel = 1, .pad = 0, .activation = kPrelu, .depthwise_stride = 2},
      {.name = "separable_stride2_odd", .in = 33, .out = 16, .height = 13, .width = 9, .kernel = 1, .pad = 0, .depthwise_stride = 2},
      {.name = "separable_addend", .in = 32, .out = 24, .kernel = 1, .pad = 0, .addend = true, .depthwise_stride = 1},
      {.name = "separable_sigmoid", .in = 16, .out = 10, .kernel = 1, .pad = 0, .activation = kSigmoid, .depthwise_stride = 1},
      {.name = "separable_pooled", .in = 16, .out = 16, .height = 8, .width = 6, .kernel = 1, .pad = 0, .pooled = true, .depthwise_stride = 1},
      {.name = "depthwise_before_3x3", .in = 16, .out = 20, .depthwise_stride = 1},
      {.name = "depthwise", .in = 20, .out = 20, .groups = 20, .activation = kRelu},
      {.name = "depthwise_stride2", .in = 36, .out = 36, .height = 14, .width = 13, .groups = 36, .stride = 2, .activation = kPrelu},
      {.name = "depthwise_7x7_to_1", .in = 64, .out = 64, .height = 7, .width = 7, .groups = 64, .kernel = 7, .pad = 0},
      {.name = "depthwise_addend", .in = 16, .out = 16, .groups = 16, .addend = true},
      {.name = "groups", .in = 24, .out = 32, .groups = 4, .activation = kRelu},
      {.name = "groups_border_addend", .in = 12, .out = 12, .groups = 3, .activation = kPrelu, .bias = kBorder, .addend = true},
      {.name = "stride_1_by_2", .in = 8, .out = 12, .stride_w = 2},
      {.name = "fc", .kind = kFullyConnected, .in = 12, .out = 33, .height = 7, .width = 5},
      {.name = "fc_1x1", .kind = kFullyConnected, .in = 40, .out = 24, .height = 1, .width = 1, .activation = kRelu},
      {.name = "maxpool_2x2", .kind = kMaxPool, .kernel = 2, .stride = 2, .pad = 0},
      {.name = "maxpool_3x3", .kind = kMaxPool, .in = 28, .out = 28, .stride = 2},
      {.name = "maxpool_ceil", .kind = kMaxPool, .kernel = 2, .stride = 2, .pad = 0, .ceil_mode = true},
      {.name = "avgpool_ceil", .kind = kAveragePool, .kernel = 2, .stride = 2, .pad = 0, .ceil_mode = true},
      {.name = "avgpool_counting_pad", .kind = kAveragePool, .stride = 2, .activation = kRelu, .count_include_pad = true},
      {.name = "avgpool_not_counting", .kind = kAveragePool, .stride = 2},
      {.name = "upsample", .kind = kUpsample2x, .kernel = 1, .pad = 0, .activation = kRelu},
      {.name = "add_prelu", .kind = kAdd, .kernel = 1, .pad = 0, .activation = kPrelu, .addend = true},
      {.name = "add_upsampled", .kind = kAdd, .height = 8, .width = 6, .kernel = 1, .pad = 0, .addend = true, .upsampled = true},
      {.name = "affine_clip", .kind = kAffine, .kernel = 1, .pad = 0, .activation = kClip},
      {.name = "activation_sigmoid", .kind = kActivation, .kernel = 1, .pad = 0, .activation = kSigmoid},
      {.name = "activation_prelu", .kind = kActivation, .kernel = 1, .pad = 0, .activation = kPrelu},
  };
}
// clang-format on

}  // namespace face::test
