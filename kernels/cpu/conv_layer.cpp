// SPDX-License-Identifier: MIT
// kernels/cpu/conv_layer.cpp - epilogue tables, channel blocks, teams.
#include "kernels/cpu/conv_layer.h"

#include <algorithm>
#include <limits>

namespace face::cpu {
namespace {

void set_activation(const ConvDesc& desc, Epilogue& epilogue) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  epilogue.low = -kInfinity;
  epilogue.high = kInfinity;
  switch (desc.activation) {
    case ConvActivation::kNone:
      return;
    case ConvActivation::kRelu:
      epilogue.low = 0.f;
      return;
    case ConvActivation::kClip:
      epilogue.low = desc.clip_low;
      epilogue.high = desc.clip_high;
      return;
    case ConvActivation::kPrelu:
      epilogue.kind = EpilogueKind::kPrelu;
      return;
  }
}

/// 0 where the window reaches before the input, 2 where it reaches beyond, else 1.
std::vector<uint8_t> border_classes(int out, int in, int kernel, int stride, int pad) {
  std::vector<uint8_t> classes(out, 1);
  for (int i = 0; i < out; ++i) {
    const int begin = i * stride - pad;
    if (begin + kernel > in) classes[i] = 2;
    if (begin < 0) classes[i] = 0;
  }
  return classes;
}

}  // namespace

std::string map_suffix(const ConvDesc& d) {
  if (!d.bf16_input && !d.bf16_addend && !d.bf16_output) return "";
  return std::string("+bf16") + (d.bf16_input ? "_in" : "") + (d.bf16_addend ? "_add" : "") +
         (d.bf16_output ? "_out" : "");
}

EpilogueTables::EpilogueTables(const ConvDesc& desc, const ConvWeights& weights)
    : bias_(static_cast<size_t>(desc.out_channels) * (desc.border_bias ? 9 : 1)),
      row_class_(border_classes(desc.out_height, desc.in_height, desc.kernel_h, desc.stride,
                                desc.pad_top)),
      col_class_(border_classes(desc.out_width, desc.in_width, desc.kernel_w, desc.stride,
                                desc.pad_left)) {
  if (weights.bias != nullptr) std::copy_n(weights.bias, bias_.size(), bias_.begin());
  if (desc.activation == ConvActivation::kPrelu) {
    slopes_.assign(weights.slopes, weights.slopes + desc.out_channels);
  }
  epilogue_.bias = bias_.data();
  epilogue_.bias_stride = desc.border_bias ? desc.out_channels : 0;
  epilogue_.row_class = row_class_.data();
  epilogue_.col_class = col_class_.data();
  epilogue_.slopes = slopes_.data();
  set_activation(desc, epilogue_);
  epilogue_.addend_pixel = static_cast<size_t>(desc.out_channels) / (desc.bf16_addend ? 2 : 1);
  epilogue_.bf16_addend = desc.bf16_addend;
  epilogue_.addend_upsampled = desc.addend_upsampled;
  epilogue_.max_pool = desc.max_pool;
  epilogue_.bf16_output = desc.bf16_output;
  epilogue_.height = desc.out_height;
  epilogue_.width = desc.out_width;
  epilogue_.channels = desc.out_channels;
}

Epilogue EpilogueTables::with_addend(const float* addend) const {
  Epilogue result = epilogue_;
  result.addend = addend;
  return result;
}

std::vector<LaneBlock> lane_blocks(const LaneShape& shape, int channels) {
  const int rest = channels % shape.width;
  const bool half = shape.half_vectors && rest > 0 && rest <= shape.width / 2;
  const int full = channels / shape.width + (rest > 0 && !half ? 1 : 0);
  const int most = shape.max_vectors;
  const int count = std::max(1, (full + (half ? 1 : 0) + most - 1) / most);
  std::vector<LaneBlock> blocks(count);
  int channel = 0;
  for (int i = 0; i < count; ++i) {
    LaneBlock& block = blocks[i];
    block.half = half && i == count - 1;  // the smallest block, so the half vector finds room
    block.vectors = full / count + (i < full % count ? 1 : 0);
    block.lanes = block.vectors * shape.width + (block.half ? shape.width / 2 : 0);
    block.channel_begin = channel;
    block.channels = std::min(block.lanes, channels - channel);
    channel += block.channels;
  }
  return blocks;
}

Parallel serial_parallel() {
  return {1, [](int, int tasks, Parallel::Body body, const void* context) {
            for (int task = 0; task < tasks; ++task) body(context, task, 0);
          }};
}

}  // namespace face::cpu
