// SPDX-License-Identifier: MIT
// engine/cpu/layer.h - one op made ready to run on the CPU, whatever computes it.
//
// Every op keeps the contract of a convolution of kernels/cpu/conv.h: NHWC float32 in and out, a
// dense batch, an optional addend that may be the output, scratch from the caller, a team to
// spread over. So own kernels, oneDNN primitives and plain loops are interchangeable, but for maps
// of bfloat16 (map_storage.h).
#pragma once

#include <memory>

#include "engine/network.h"
#include "kernels/cpu/conv.h"

namespace face::cpu {

using Layer = Conv;

/// Shapes of one op, per image, and the most images of one run.
struct LayerShapes {
  Shape input, output;
  int max_batch = 1;
};

/// What oneDNN and our kernels are asked for: a convolution or fully connected op.
/// A fully connected op is a convolution whose kernel is the whole input.
struct ConvProblem {
  ConvDesc desc;         // desc.stride is the vertical one
  int stride_w = 1;      // that of desc unless the op is odd
  bool sigmoid = false;  // follows desc.activation, which is then kNone
  ConvWeights weights;
  /// Comes first, if there is one: desc describes what follows, a 1x1 convolution.
  std::shared_ptr<const ConvProblem> depthwise = nullptr;

  /// Of the layer's input.
  [[nodiscard]] const ConvDesc& first() const {
    return (depthwise != nullptr ? *depthwise : *this).desc;
  }
};
[[nodiscard]] bool is_conv(const Op& op);
/// REQUIRES: is_conv(op); the op's weights outlive the problem.
[[nodiscard]] ConvProblem conv_problem(const Op& op, const LayerShapes& shapes);
/// The problem without what comes first.
[[nodiscard]] ConvProblem without_depthwise(const ConvProblem& problem);

/// Ops that are no convolutions: pools, upsampling, addition, affine, activation.
[[nodiscard]] std::unique_ptr<Layer> make_plain_layer(const Op& op, const LayerShapes& shapes);

}  // namespace face::cpu
