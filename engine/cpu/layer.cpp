// SPDX-License-Identifier: MIT
#include "engine/cpu/layer.h"

#include "engine/cpu/pointwise.h"
#include "engine/cpu/pooling.h"

namespace face::cpu {
namespace {

ConvActivation conv_activation(Activation activation) {
  switch (activation) {
    case Activation::kRelu:
      return ConvActivation::kRelu;
    case Activation::kPrelu:
      return ConvActivation::kPrelu;
    case Activation::kClip:
      return ConvActivation::kClip;
    case Activation::kNone:
    case Activation::kSigmoid:
      break;
  }
  return ConvActivation::kNone;
}

void set_window(ConvDesc& d, const Op& op) {
  if (op.kind == OpKind::kFullyConnected) {
    d.kernel_h = d.in_height;
    d.kernel_w = d.in_width;
    d.stride = 1;
    d.pad_top = d.pad_left = 0;
    return;
  }
  d.groups = op.groups;
  d.kernel_h = op.kernel_h;
  d.kernel_w = op.kernel_w;
  d.stride = op.stride_h;
  d.pad_top = op.pad_top;
  d.pad_left = op.pad_left;
}

}  // namespace

bool is_conv(const Op& op) {
  return op.kind == OpKind::kConv || op.kind == OpKind::kFullyConnected;
}

ConvProblem conv_problem(const Op& op, const LayerShapes& s) {
  ConvProblem p;
  ConvDesc& d = p.desc;
  d.max_batch = s.max_batch;
  d.in_channels = s.input.channels;
  d.in_height = s.input.height;
  d.in_width = s.input.width;
  d.out_channels = s.output.channels;
  d.max_pool = op.max_pooled;
  d.out_height = s.output.height * (op.max_pooled ? 2 : 1);
  d.out_width = s.output.width * (op.max_pooled ? 2 : 1);
  set_window(d, op);
  d.border_bias = op.bias_kind == BiasKind::kBorder9;
  d.has_addend = op.addend != kNoTensor;
  d.addend_upsampled = op.addend_upsampled;
  d.activation = conv_activation(op.activation);
  d.clip_low = op.clip_low;
  d.clip_high = op.clip_high;
  if (op.depthwise != nullptr) {
    d.in_height = d.out_height;
    d.in_width = d.out_width;
    const Shape between{d.in_channels, d.in_height, d.in_width};
    p.depthwise = std::make_shared<const ConvProblem>(
        conv_problem(*op.depthwise, {s.input, between, s.max_batch}));
  }
  p.stride_w = op.kind == OpKind::kFullyConnected ? 1 : op.stride_w;
  p.sigmoid = op.activation == Activation::kSigmoid;
  p.weights = {op.weights.data(), op.bias.empty() ? nullptr : op.bias.data(),
               op.slopes.empty() ? nullptr : op.slopes.data()};
  return p;
}

ConvProblem without_depthwise(const ConvProblem& problem) {
  ConvProblem rest = problem;
  rest.depthwise = nullptr;
  return rest;
}

std::unique_ptr<Layer> make_plain_layer(const Op& op, const LayerShapes& shapes) {
  if (op.kind == OpKind::kMaxPool || op.kind == OpKind::kAveragePool)
    return make_pooling(op, shapes);
  if (op.kind == OpKind::kUpsample2x) return make_upsampling(op, shapes);
  const ConvProblem p = conv_problem(op, shapes);
  const float* scale = op.kind == OpKind::kAffine ? op.weights.data() : nullptr;
  return std::make_unique<Pointwise>(p.desc, p.weights, scale, p.sigmoid);
}

}  // namespace face::cpu
