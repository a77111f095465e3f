// SPDX-License-Identifier: MIT
// kernels/cpu/conv_depthwise.cpp - plans depthwise convolutions: a task is some rows of an image.
#include <algorithm>

#include "kernels/cpu/conv_layer.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

class DepthwiseConv final : public Conv {
 public:
  DepthwiseConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights)
      : isa_(isa), desc_(desc), kernels_(&conv_kernels(isa)), epilogue_(desc, weights) {
    const int taps = desc.kernel_h * desc.kernel_w;
    packed_ = aligned_zeros(static_cast<size_t>(taps) * desc.in_channels);
    for (int c = 0; c < desc.in_channels; ++c) {
      for (int tap = 0; tap < taps; ++tap) {
        packed_[static_cast<size_t>(tap) * desc.in_channels + c] =
            weights.weights[static_cast<size_t>(c) * taps + tap];
      }
    }
  }

  std::string name() const override { return std::string("depthwise:") + to_string(isa_); }
  size_t weight_bytes() const override {
    return sizeof(float) * desc_.kernel_h * desc_.kernel_w * desc_.in_channels;
  }
  size_t scratch_bytes(int) const override { return 0; }
  void run(const float* input, const float* addend, float* output, int batch, void*,
           const Parallel& parallel) const override;

 private:
  [[nodiscard]] DepthwiseRow row_args() const;

  ConvIsa isa_;
  ConvDesc desc_;
  const ConvKernels* kernels_;
  EpilogueTables epilogue_;
  AlignedFloats packed_;  // [kernel_h][kernel_w][channel]
};

DepthwiseRow DepthwiseConv::row_args() const {
  DepthwiseRow a;
  a.in_height = desc_.in_height;
  a.in_width = desc_.in_width;
  a.kernel_h = desc_.kernel_h;
  a.kernel_w = desc_.kernel_w;
  a.stride = desc_.stride;
  a.pad_top = desc_.pad_top;
  a.pad_left = desc_.pad_left;
  a.weights = packed_.get();
  a.inner_begin = (desc_.pad_left + desc_.stride - 1) / desc_.stride;
  const int last =
      desc_.in_width + desc_.pad_left - desc_.kernel_w;  // last start, in input columns
  a.inner_end = last < 0 ? 0 : std::min(desc_.out_width, last / desc_.stride + 1);
  return a;
}

void DepthwiseConv::run(const float* input, const float* addend, float* output, int batch, void*,
                        const Parallel& parallel) const {
  const int rows = batch * desc_.out_height;
  const int tasks = std::min(rows, 4 * parallel.threads);
  DepthwiseRow common = row_args();
  common.epilogue = epilogue_.with_addend(addend);
  const size_t in_image = static_cast<size_t>(desc_.in_height) * desc_.in_width * desc_.in_channels;
  const size_t out_row = static_cast<size_t>(desc_.out_width) * desc_.out_channels;
  parallel(tasks, [&](int task, int) {
    DepthwiseRow a = common;
    const int end = static_cast<int>(static_cast<int64_t>(rows) * (task + 1) / tasks);
    for (int row = static_cast<int>(static_cast<int64_t>(rows) * task / tasks); row < end; ++row) {
      a.image = row / desc_.out_height;
      a.y = row % desc_.out_height;
      a.input = input + a.image * in_image;
      a.output = output + row * out_row;
      kernels_->depthwise(a);
    }
  });
}

}  // namespace

std::unique_ptr<Conv> make_depthwise(ConvIsa isa, const ConvDesc& desc,
                                     const ConvWeights& weights) {
  return std::make_unique<DepthwiseConv>(isa, desc, weights);
}

}  // namespace face::cpu
