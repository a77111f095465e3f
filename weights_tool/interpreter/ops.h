// SPDX-License-Identifier: MIT
// weights_tool/interpreter/ops.h - one function per ONNX op, and what they share. Semantics:
// https://github.com/onnx/onnx/blob/main/docs/Changelog.md, opset 9 to 17.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "weights_tool/graph_interpreter.h"

namespace face::onnx::interpreter {

using Dims = std::vector<int64_t>;

/// A node about to run.
struct Call {
  const Node& node;
  int64_t opset;
  std::vector<const Values*> inputs;  // nullptr: absent

  [[nodiscard]] bool has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  /// Throws Error(kBadModel) if the input is absent.
  [[nodiscard]] const Values& in(size_t i) const;
  /// As in(), for a feature map: refuses what is not (N, C, H, W).
  [[nodiscard]] const Values& map(size_t i) const;
  /// The only element of input `i`.
  [[nodiscard]] double number(size_t i) const;
  /// Integers of input `i`.
  [[nodiscard]] Dims ints(size_t i) const;
  /// Attribute `name`, or input `i` where the op's newer form has it there; empty if neither.
  [[nodiscard]] Dims ints(const char* name, size_t i) const;
  /// `axis` counted from 0, refused outside [-rank, rank).
  [[nodiscard]] size_t axis(int64_t axis, size_t rank) const;
  void require(bool condition, const std::string& reason) const {
    if (!condition) fail(reason);
  }
  /// Throws Error(kBadModel, "node NAME: reason").
  [[noreturn]] void fail(const std::string& reason) const;
};

using Function = Values (*)(const Call&);

/// The function for an op, or nullptr.
[[nodiscard]] Function find_op(const std::string& op_type);

// ---- helpers
[[nodiscard]] int64_t count(const Dims& dims);
/// Runs body(0) ... body(count - 1) on all cores; body must not throw.
void parallel_for(int64_t count, const std::function<void(int64_t)>& body);
/// Element (i, j, ...) of the result is x[index[0][i], index[1][j], ...]; -1 gives `fill`.
[[nodiscard]] Values select(const Values& x, const std::vector<Dims>& index, double fill);
/// 0, 1, ... size - 1 for every axis.
[[nodiscard]] std::vector<Dims> whole(const Dims& dims);

// ---- element by element
Values binary(const Call& call);  // Add Sub Mul Div
Values unary(const Call& call);   // Relu LeakyRelu Sigmoid Neg Reciprocal Sqrt Floor Ceil
Values prelu(const Call& call);
Values clip(const Call& call);
Values cast(const Call& call);
Values identity(const Call& call);
Values batch_normalization(const Call& call);

// ---- layers
Values conv(const Call& call);
Values pool(const Call& call);  // MaxPool AveragePool
Values global_average_pool(const Call& call);
Values reduce_mean(const Call& call);
Values gemm(const Call& call);
Values matmul(const Call& call);
Values resize(const Call& call);  // Resize Upsample

// ---- shapes
Values shape(const Call& call);
Values reshape(const Call& call);
Values flatten(const Call& call);
Values squeeze(const Call& call);
Values unsqueeze(const Call& call);
Values transpose(const Call& call);
Values concat(const Call& call);
Values gather(const Call& call);
Values slice(const Call& call);
Values pad(const Call& call);
Values constant(const Call& call);
Values constant_of_shape(const Call& call);

/// A constant tensor as run-time values.
[[nodiscard]] Values to_values(const Array& array);

}  // namespace face::onnx::interpreter
