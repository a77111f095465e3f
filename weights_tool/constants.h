// SPDX-License-Identifier: MIT
// weights_tool/constants.h - computes ONNX nodes whose inputs are all known: what exporters leave
// of shape arithmetic, and reshaped or transposed weights.
#pragma once

#include <memory>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face {

using ArrayPtr = std::shared_ptr<const onnx::Array>;

/// The node's value, or nullptr if the op is none of: Add Cast Ceil Concat Constant ConstantOfShape
/// Div Floor Gather Identity Mul Neg Reciprocal Reshape Slice Sqrt Squeeze Sub Transpose Unsqueeze.
/// `inputs` are the node's, nullptr for one that is absent.
/// Throws Error(kBadModel) that names the node if shapes or attributes are impossible.
[[nodiscard]] ArrayPtr evaluate_constant(const onnx::Node& node,
                                         const std::vector<ArrayPtr>& inputs);

/// Target of a Reshape: `wanted` with its 0 and -1 filled in from `dims`.
[[nodiscard]] std::vector<int64_t> reshaped_dims(const onnx::Node& node,
                                                 const std::vector<int64_t>& dims,
                                                 const std::vector<int64_t>& wanted);

/// The axes of Squeeze, Unsqueeze or a reduction: second input where it is given (opset 13),
/// else the attribute; empty if there are none. Negative ones are counted from `rank`.
[[nodiscard]] std::vector<int64_t> node_axes(const onnx::Node& node, const ArrayPtr& input,
                                             int64_t rank);

/// `axis` counted from 0; refuses what lies outside [-rank, rank).
[[nodiscard]] int64_t normal_axis(const onnx::Node& node, int64_t axis, int64_t rank);

/// "1x512x7x7"
[[nodiscard]] std::string dims_text(const std::vector<int64_t>& dims);

}  // namespace face
