// SPDX-License-Identifier: MIT
// weights_tool/array_math.h - arithmetic on constant arrays, beneath constants.cpp.
#pragma once

#include <functional>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face {

/// Product of the dimensions, 1 for a scalar.
[[nodiscard]] int64_t count_of(const std::vector<int64_t>& dims);

/// Zeros of another shape.
[[nodiscard]] onnx::Array like(const onnx::Array& array, std::vector<int64_t> dims);

void copy_element(const onnx::Array& from, int64_t i, onnx::Array& to, int64_t j);

/// Calls visit(i, offset) for every index of `dims` in order, with the offset `strides` give it.
void for_each_offset(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides,
                     int64_t start, const std::function<void(int64_t, int64_t)>& visit);

/// Strides of an array without gaps.
[[nodiscard]] std::vector<int64_t> contiguous_strides(const std::vector<int64_t>& dims);

/// The elements of `from` that `strides` lead to, in an array of `dims`.
[[nodiscard]] onnx::Array gather_elements(const onnx::Array& from, const std::vector<int64_t>& dims,
                                          const std::vector<int64_t>& strides, int64_t start);

/// Add, Sub, Mul or Div with broadcasting; integers are checked for overflow.
[[nodiscard]] onnx::Array binary_op(const onnx::Node& node, const onnx::Array& a,
                                    const onnx::Array& b);

/// Cast to the dtype that the node's attribute names.
[[nodiscard]] onnx::Array cast_op(const onnx::Node& node, const onnx::Array& in);

/// `f` of every element; integers are refused.
[[nodiscard]] onnx::Array map_op(const onnx::Node& node, const onnx::Array& in,
                                 double (*f)(double));

}  // namespace face
