// SPDX-License-Identifier: MIT
#include "engine/cpu/bf16.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

class EmulatedLayer final : public Layer {
 public:
  EmulatedLayer(std::unique_ptr<Layer> layer, const ConvDesc& desc)
      : layer_(std::move(layer)),
        row_floats_(size_t(desc.in_width) * desc.in_channels),
        rows_(desc.in_height),
        input_floats_(round_to_line(row_floats_ * rows_ * desc.max_batch)) {}

  [[nodiscard]] std::string name() const override { return layer_->name() + ":bf16-emulated"; }
  [[nodiscard]] size_t weight_bytes() const override { return layer_->weight_bytes(); }
  [[nodiscard]] size_t scratch_bytes(int threads) const override {
    return input_floats_ * sizeof(float) + layer_->scratch_bytes(threads);
  }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override {
    auto* rounded = static_cast<float*>(scratch);
    parallel(batch * rows_, [&](int task, int) {
      const size_t begin = task * row_floats_;
      for (size_t i = begin; i < begin + row_floats_; ++i)
        rounded[i] = from_bf16(to_bf16(input[i]));
    });
    layer_->run(rounded, addend, output, batch, rounded + input_floats_, parallel);
  }

 private:
  std::unique_ptr<Layer> layer_;
  size_t row_floats_;
  int rows_;
  size_t input_floats_;
};

}  // namespace

std::vector<float> rounded_weights(const ConvProblem& problem) {
  const ConvDesc& d = problem.desc;
  const size_t count =
      size_t(d.out_channels) * (d.in_channels / d.groups) * d.kernel_h * d.kernel_w;
  std::vector<float> rounded(count);
  std::transform(problem.weights.weights, problem.weights.weights + count, rounded.begin(),
                 [](float x) { return from_bf16(to_bf16(x)); });
  return rounded;
}

std::unique_ptr<Layer> emulate_bf16(std::unique_ptr<Layer> layer, const ConvDesc& desc) {
  return std::make_unique<EmulatedLayer>(std::move(layer), desc);
}

}  // namespace face::cpu
