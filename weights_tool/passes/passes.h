// SPDX-License-Identifier: MIT
// weights_tool/passes/passes.h - rewrites of a network that leave its outputs as they were, up to
// rounding: sums run in float64, results are stored as float32. Arrays are shared between
// operations and with the ONNX graph, so a pass never changes one: it makes a new one.
#pragma once

#include "weights_tool/draft.h"

namespace face {

/// Two affines in a row become one.
void merge_affines(Draft& draft);

/// An affine that first reads the input, all channels alike, becomes Input's normalisation.
void fold_input_normalisation(Draft& draft);

/// An affine after a convolution or fully connected layer goes into its weights and bias: a
/// BatchNorm, or the learned scale of a detector's boxes.
void fold_affine_after(Draft& draft);

/// An affine before convolutions or fully connected layers goes into their weights and biases,
/// exactly: with zero padding the bias differs at the border (BiasKind::kBorder9). It stays where
/// that cannot be said: padding of other than a 3x3 window by 1, or a map less than 2 pixels wide.
void fold_affine_before(Draft& draft);

/// A 2x2/2 average pool and the 1x1 convolution that alone reads it become one 2x2/2 convolution,
/// where the pooled map has an even height and width at every size the network takes.
void fold_pool_into_conv(Draft& draft);

/// An activation moves into the operation before it.
void attach_activations(Draft& draft);

/// The sum of a convolution's output and another tensor moves into the convolution; a nearest
/// upsampling that only this sum reads becomes its `addend_upsampled`.
void attach_addends(Draft& draft);

/// Finds the levels of a detector by the size of its heads and merges the convolutions of each
/// into one; fills Network::outputs and levels.
/// Throws Error(kBadModel) if scores, boxes or landmarks of a stride are missing.
void merge_heads(Draft& draft);

/// Drops operations and tensors that no output needs, and arrays that no operation uses.
void remove_unused(Draft& draft);

/// All but merge_heads(), in the order in which they help each other.
void run_passes_before_heads(Draft& draft);

/// All of them.
void run_passes(Draft& draft);

}  // namespace face
