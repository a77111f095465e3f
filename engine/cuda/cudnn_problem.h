// SPDX-License-Identifier: MIT
// engine/cuda/cudnn_problem.h - what of a network's convolution cuDNN is asked to compute.
//
// Tensors are those of kernels/cuda/ops.h: NHWC halves, channels padded to 8; sums and what lies
// between the operations are float32. The bias is halves, and the order is convolution, + addend,
// + bias, ReLU: for a float32 bias, or + bias before + addend, cuDNN has no compiled engines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/network.h"
#include "kernels/cuda/ops.h"

namespace face::cuda::cudnn {

/// Channels are padded.
struct Problem {
  int batch = 0;
  int in_h = 0, in_w = 0, in_c = 0;
  int out_h = 0, out_w = 0, out_c = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool addend = false, bias = false, relu = false;
  /// Bias, addend and activation are left to pointwise() on the finished convolution: for a border
  /// bias, PReLU and whatever else no compiled engine has.
  bool finish = false;

  [[nodiscard]] std::string pattern() const;  // "conv+add+bias+relu"
  /// Pattern, shape and batch in one line.
  [[nodiscard]] std::string key() const;
};

/// The problem of `op`, which `p` are the parameters of. None if cuDNN is of no use for it: no
/// convolution or fully connected layer, floats, groups, a finish that pointwise() could not do.
[[nodiscard]] std::optional<Problem> problem_of(const Op& op, const OpParams& p, ElementType type);

/// Weights as halves: (out_c, kernel_h, kernel_w, in_c), zeros in the padding, of those of the
/// convolution (p.out_c, p.in_c, kernel_h, kernel_w).
[[nodiscard]] size_t weight_count(const OpParams& p);
void pack_weights(const OpParams& p, const float* weights, uint16_t* packed);

}  // namespace face::cuda::cudnn
