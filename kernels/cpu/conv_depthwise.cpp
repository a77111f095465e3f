// SPDX-License-Identifier: MIT
// kernels/cpu/conv_depthwise.cpp - plans depthwise convolutions: a task is some rows of an image.
#include "kernels/cpu/conv_depthwise.h"

#include <algorithm>

namespace face::cpu {
namespace {

class DepthwiseConv final : public Conv {
 public:
  DepthwiseConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights)
      : isa_(isa), desc_(desc), stage_(conv_kernels(isa), desc, weights) {}

  std::string name() const override { return std::string("depthwise:") + to_string(isa_); }
  size_t weight_bytes() const override { return stage_.weight_bytes(); }
  size_t scratch_bytes(int) const override { return 0; }
  void run(const float* input, const float* addend, float* output, int batch, void*,
           const Parallel& parallel) const override;

 private:
  ConvIsa isa_;
  ConvDesc desc_;
  DepthwiseStage stage_;
};

void DepthwiseConv::run(const float* input, const float* addend, float* output, int batch, void*,
                        const Parallel& parallel) const {
  const int rows = batch * desc_.out_height;
  const int tasks = std::min(rows, 4 * parallel.threads);
  parallel(tasks, [&](int task, int) {
    const int64_t begin = int64_t{rows} * task / tasks, end = int64_t{rows} * (task + 1) / tasks;
    const size_t pixel = static_cast<size_t>(begin) * desc_.out_width;
    stage_.run(input, addend, pixel, static_cast<int>(end - begin) * desc_.out_width,
               output + pixel * desc_.out_channels);
  });
}

DepthwiseRow common_row(const ConvDesc& d) {
  DepthwiseRow row;
  row.in_height = d.in_height;
  row.in_width = d.in_width;
  row.kernel_h = d.kernel_h;
  row.kernel_w = d.kernel_w;
  row.stride = d.stride;
  row.pad_top = d.pad_top;
  row.pad_left = d.pad_left;
  return row;
}

}  // namespace

DepthwiseStage::DepthwiseStage(const ConvKernels& kernels, const ConvDesc& desc,
                               const ConvWeights& weights)
    : desc_(desc), kernels_(&kernels), epilogue_(desc, weights), row_(common_row(desc)) {
  const int taps = desc.kernel_h * desc.kernel_w;
  packed_ = aligned_zeros(static_cast<size_t>(taps) * desc.in_channels);
  for (int c = 0; c < desc.in_channels; ++c) {
    for (int tap = 0; tap < taps; ++tap) {
      packed_[static_cast<size_t>(tap) * desc.in_channels + c] =
          weights.weights[static_cast<size_t>(c) * taps + tap];
    }
  }
  row_.weights = packed_.get();
  zeros_ = aligned_zeros(desc.in_channels);
  row_.zeros = zeros_.get();
}

size_t DepthwiseStage::weight_bytes() const {
  return sizeof(float) * desc_.kernel_h * desc_.kernel_w * desc_.in_channels;
}

void DepthwiseStage::run(const float* input, const float* addend, size_t begin, int count,
                         float* output) const {
  const size_t in_image = static_cast<size_t>(desc_.in_height) * desc_.in_width * desc_.in_channels;
  DepthwiseRow a = row_;
  a.epilogue = epilogue_.with_addend(addend);
  size_t row = begin / desc_.out_width;
  a.x_begin = static_cast<int>(begin % desc_.out_width);
  for (; count > 0; count -= a.x_end - a.x_begin, a.x_begin = 0, ++row) {
    a.x_end = std::min(desc_.out_width, a.x_begin + count);
    a.image = static_cast<int>(row / desc_.out_height);
    a.y = static_cast<int>(row % desc_.out_height);
    a.input = input + a.image * in_image;
    a.output = output;
    kernels_->depthwise(a);
    output += static_cast<size_t>(a.x_end - a.x_begin) * desc_.out_channels;
  }
}

std::unique_ptr<Conv> make_depthwise(ConvIsa isa, const ConvDesc& desc,
                                     const ConvWeights& weights) {
  return std::make_unique<DepthwiseConv>(isa, desc, weights);
}

}  // namespace face::cpu
