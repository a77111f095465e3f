// SPDX-License-Identifier: MIT
// kernels/cpu/conv_depthwise.h - depthwise convolution of any run of output pixels: a layer of its
// own, or the stage before a 1x1 convolution.
#pragma once

#include "kernels/cpu/conv_layer.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {

/// Threads: run() is const and reentrant.
class DepthwiseStage {
 public:
  /// `kernels` are borrowed. REQUIRES: as many groups as input and output channels.
  DepthwiseStage(const ConvKernels& kernels, const ConvDesc& desc, const ConvWeights& weights);

  [[nodiscard]] size_t weight_bytes() const;
  /// Output pixels [begin, begin + count) of a stack of images, to `output` (count, channels).
  void run(const float* input, const float* addend, size_t begin, int count, float* output) const;

 private:
  ConvDesc desc_;
  const ConvKernels* kernels_;
  EpilogueTables epilogue_;
  DepthwiseRow row_;      // what rows have in common
  AlignedFloats packed_;  // [kernel_h][kernel_w][channel]
  AlignedFloats zeros_;   // [channel]
};

}  // namespace face::cpu
