// SPDX-License-Identifier: MIT
// engine/cuda/op_params.h - an operation of a network in the words of kernels/cuda/ops.h.
#pragma once

#include <vector>

#include "engine/network.h"
#include "kernels/cuda/ops.h"

namespace face::cuda {

/// Shapes, window and activation of `op`; batch and every pointer are left empty. A fully connected
/// layer is a convolution over its whole input as one pixel, see fully_connected_weights().
[[nodiscard]] OpParams op_params(const Op& op, const std::vector<Shape>& shapes);

/// Weights of a fully connected layer for an input of (height, width, padded channels) instead of
/// (channels, height, width).
[[nodiscard]] std::vector<float> fully_connected_weights(const Op& op,
                                                         const std::vector<Shape>& shapes);

}  // namespace face::cuda
