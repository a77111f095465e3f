// SPDX-License-Identifier: MIT
// weights_tool/lowering.h - takes an ONNX graph node by node into unfused operations.
//
// Shapes are followed with concrete numbers (a dynamic detector is probed at 640x480, a dynamic
// recogniser at 112x112), so the arithmetic that exporters put between Shape and Resize or Reshape
// folds away as constants: a Resize is an upsampling by 2 if it doubles the probed size. The tail
// of a detector's head (Transpose, Reshape, Sigmoid) becomes a Head, whatever its batch.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weights_tool/constants.h"
#include "weights_tool/draft.h"

namespace face {

class Lowering {
 public:
  Lowering(const onnx::Graph& graph, NetworkRole role);
  /// Throws Error(kBadModel, "node NAME: reason").
  [[nodiscard]] Draft run();

 private:
  using Dims = std::vector<int64_t>;
  using Node = onnx::Node;
  using Handler = void (Lowering::*)(const Node&);

  /// How an ONNX value lies in its tensor.
  enum class Layout {
    kImage,   // (N, C, H, W)
    kVector,  // (N, C * H * W)
    kPixels,  // (N, H, W, C) or (H, W, N, C): a detector's head after Transpose
    kRows,    // (rows, columns) or (N, rows, columns): after Reshape
  };
  struct Value {
    Dims dims;          // at the probed size
    ArrayPtr constant;  // known value, else
    TensorId tensor = kNoTensor;
    Layout layout = Layout::kImage;
    bool sigmoid = false;  // of the tensor's values; kPixels and kRows only
  };

  static const std::map<std::string, Handler>& handlers();
  void add_input();
  void lower_node(const Node& node);
  bool fold_constant(const Node& node);

  // ---- access to values
  [[nodiscard]] const Value& value(const Node& node, size_t index) const;
  [[nodiscard]] bool has_input(const Node& node, size_t index) const;
  [[nodiscard]] const Value& image(const Node& node, size_t index) const;
  /// A value whose second dimension is its tensor's channels.
  [[nodiscard]] const Value& channelled(const Node& node, size_t index) const;
  [[nodiscard]] ArrayPtr weights(const Node& node, size_t index) const;  // constant float
  [[nodiscard]] ArrayPtr constant(const Node& node, size_t index) const;
  /// Constant of one value per channel of (N, channels, ...), or a scalar repeated.
  [[nodiscard]] std::vector<float> per_channel(const Node& node, const ArrayPtr& array,
                                               const Dims& dims) const;
  /// Constant vector of exactly `count` values.
  [[nodiscard]] ArrayPtr vector_of(const Node& node, size_t index, int64_t count) const;
  [[nodiscard]] const Node& checked_outputs(const Node& node) const;

  // ---- results
  void set(const Node& node, Value value);
  void alias(const Node& node, const Value& source, Dims dims, Layout layout);
  Op& append(const Node& node, OpKind kind, const Value& input, const Dims& out_dims);
  void append_affine(const Node& node, const Value& input, std::vector<float> scale,
                     std::vector<float> shift);
  void append_activation(const Node& node, Activation activation, float low, float high,
                         std::vector<float> slopes);
  void append_fully_connected(const Node& node, const Value& input, ArrayPtr matrix,
                              std::vector<float> bias);
  void set_window(const Node& node, Op& op, const Dims& kernel, const Dims& in);
  Dims window_dims(const Node& node, const Op& op, const Dims& in, int64_t channels) const;
  void average_all(const Node& node, const Value& input);

  // ---- one per group of ONNX ops
  void lower_convolution(const Node& node);
  void lower_batch_norm(const Node& node);
  void lower_activation(const Node& node);
  void lower_prelu(const Node& node);
  void lower_clip(const Node& node);
  void lower_sigmoid(const Node& node);
  void lower_arithmetic(const Node& node);
  void lower_gemm(const Node& node);
  void lower_matmul(const Node& node);
  void lower_pool(const Node& node);
  void lower_global_pool(const Node& node);
  void lower_reduce_mean(const Node& node);
  void lower_resize(const Node& node);
  void lower_shape(const Node& node);
  void lower_identity(const Node& node);
  void lower_flatten(const Node& node);
  void lower_reshape(const Node& node);
  void lower_squeeze(const Node& node);
  void lower_transpose(const Node& node);

  void reshape_to(const Node& node, const Value& in, const Dims& dims);
  void add_output(const onnx::ValueInfo& info);
  void add_head(const onnx::ValueInfo& info, const Value& value);
  void add_embedding(const onnx::ValueInfo& info, const Value& value);

  const onnx::Graph& graph_;
  Draft draft_;
  std::map<std::string, Value> values_;
};

}  // namespace face
