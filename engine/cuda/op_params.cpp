// SPDX-License-Identifier: MIT
#include "engine/cuda/op_params.h"

namespace face::cuda {

OpParams op_params(const Op& op, const std::vector<Shape>& shapes) {
  OpParams p;
  const Shape& in = shapes[op.input];
  const Shape& out = shapes[op.output];
  p.in_h = in.height, p.in_w = in.width, p.in_c = in.channels;
  p.out_h = out.height, p.out_w = out.width, p.out_c = out.channels;
  p.kernel_h = op.kernel_h, p.kernel_w = op.kernel_w;
  p.stride_h = op.stride_h, p.stride_w = op.stride_w;
  p.pad_top = op.pad_top, p.pad_left = op.pad_left;
  p.pad_bottom = op.pad_bottom, p.pad_right = op.pad_right;
  p.groups = op.groups;
  p.count_include_pad = op.count_include_pad;
  p.upsample = op.kind == OpKind::kUpsample2x;
  p.border_bias = op.bias_kind == BiasKind::kBorder9;
  p.addend_upsampled = op.addend_upsampled;
  p.activation = static_cast<Act>(op.activation);
  p.clip_low = op.clip_low, p.clip_high = op.clip_high;
  if (op.kind == OpKind::kFullyConnected) {
    p.in_c = in.height * in.width * padded(in.channels);
    p.in_h = p.in_w = 1;
  }
  return p;
}

std::vector<float> fully_connected_weights(const Op& op, const std::vector<Shape>& shapes) {
  const Shape& in = shapes[op.input];
  const int area = in.height * in.width, channels = in.channels, stride = padded(channels);
  const int rows = shapes[op.output].channels;
  std::vector<float> weights(size_t(rows) * area * stride);
  for (int o = 0; o < rows; ++o)
    for (int c = 0; c < channels; ++c)
      for (int i = 0; i < area; ++i)
        weights[(size_t(o) * area + i) * stride + c] =
            op.weights[(size_t(o) * channels + c) * area + i];
  return weights;
}

}  // namespace face::cuda
