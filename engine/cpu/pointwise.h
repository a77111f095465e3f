// SPDX-License-Identifier: MIT
// engine/cpu/pointwise.h - what is computed pixel by pixel: scale, bias, addend, activation.
#pragma once

#include <vector>

#include "engine/cpu/layer.h"
#include "kernels/cpu/conv_layer.h"

namespace face::cpu {

/// output = activation(input * scale[c] + bias[c or border class][c] + addend). Also finishes what
/// a primitive could not fuse, in place.
class Pointwise final : public Layer {
 public:
  /// `scale` (channels) may be null: 1. `desc` gives output size, border bias, addend, activation.
  Pointwise(const ConvDesc& desc, const ConvWeights& tables, const float* scale, bool sigmoid);

  [[nodiscard]] std::string name() const override { return "plain"; }
  [[nodiscard]] size_t weight_bytes() const override { return scale_.size() * sizeof(float); }
  [[nodiscard]] size_t scratch_bytes(int) const override { return 0; }
  /// input and addend may be the output.
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override;

 private:
  void run_row(const Epilogue& epilogue, const float* input, float* output, int image, int y) const;

  EpilogueTables tables_;
  std::vector<float> scale_;
  std::vector<float> zeros_;
  bool sigmoid_;
};

}  // namespace face::cpu
