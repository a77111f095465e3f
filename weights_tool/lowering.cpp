// SPDX-License-Identifier: MIT
#include "weights_tool/lowering.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"

namespace face {

const std::map<std::string, Lowering::Handler>& Lowering::handlers() {
  static const std::map<std::string, Handler> table = {
      {"Add", &Lowering::lower_arithmetic},
      {"AveragePool", &Lowering::lower_pool},
      {"BatchNormalization", &Lowering::lower_batch_norm},
      {"Cast", &Lowering::lower_identity},
      {"Clip", &Lowering::lower_clip},
      {"Conv", &Lowering::lower_convolution},
      {"Div", &Lowering::lower_arithmetic},
      {"Dropout", &Lowering::lower_identity},
      {"Flatten", &Lowering::lower_flatten},
      {"Gemm", &Lowering::lower_gemm},
      {"GlobalAveragePool", &Lowering::lower_global_pool},
      {"Identity", &Lowering::lower_identity},
      {"LeakyRelu", &Lowering::lower_activation},
      {"MatMul", &Lowering::lower_matmul},
      {"MaxPool", &Lowering::lower_pool},
      {"Mul", &Lowering::lower_arithmetic},
      {"PRelu", &Lowering::lower_prelu},
      {"ReduceMean", &Lowering::lower_reduce_mean},
      {"Relu", &Lowering::lower_activation},
      {"Reshape", &Lowering::lower_reshape},
      {"Resize", &Lowering::lower_resize},
      {"Shape", &Lowering::lower_shape},
      {"Sigmoid", &Lowering::lower_sigmoid},
      {"Squeeze", &Lowering::lower_squeeze},
      {"Sub", &Lowering::lower_arithmetic},
      {"Transpose", &Lowering::lower_transpose},
      {"Unsqueeze", &Lowering::lower_squeeze},
      {"Upsample", &Lowering::lower_resize}};
  return table;
}

Lowering::Lowering(const onnx::Graph& graph, NetworkRole role) : graph_(graph) {
  draft_.network.role = role;
}

Draft Lowering::run() {
  add_input();
  for (const auto& [name, array] : graph_.initializers) {
    Value v;
    v.dims = array->dims;
    v.constant = array;
    values_[name] = std::move(v);
  }
  for (const Node& node : graph_.nodes) lower_node(node);
  for (const onnx::ValueInfo& info : graph_.outputs) add_output(info);
  return std::move(draft_);
}

void Lowering::add_input() {
  const onnx::ValueInfo& info = graph_.inputs.front();
  const bool detector = draft_.network.role == NetworkRole::kDetector;
  const Dims wildcard = {1, 3, detector ? 640 : 112, detector ? 480 : 112};
  Value v;
  for (size_t i = 0; i < 4; ++i) v.dims.push_back(info.dims[i] < 1 ? wildcard[i] : info.dims[i]);
  draft_.height = static_cast<int>(v.dims[2]);
  draft_.width = static_cast<int>(v.dims[3]);
  v.tensor = add_tensor(draft_.network, info.name, 3);
  draft_.network.input.name = info.name;
  draft_.network.input.tensor = v.tensor;
  values_[info.name] = std::move(v);
}

void Lowering::lower_node(const Node& node) {
  if (fold_constant(node)) return;
  const auto handler = handlers().find(node.op_type);
  if (handler == handlers().end()) refuse(node.name, "op " + node.op_type + " is not known");
  (this->*handler->second)(node);
}

/// Computes a node whose inputs are all constants.
bool Lowering::fold_constant(const Node& node) {
  std::vector<ArrayPtr> inputs;
  for (const std::string& name : node.inputs) {
    const auto found = values_.find(name);
    inputs.push_back(found == values_.end() ? nullptr : found->second.constant);
    if (!name.empty() && inputs.back() == nullptr) return false;
  }
  ArrayPtr array = evaluate_constant(node, inputs);
  if (array == nullptr) return false;
  Value v;
  v.dims = array->dims;
  v.constant = std::move(array);
  set(node, std::move(v));
  return true;
}

// ---- access to values

bool Lowering::has_input(const Node& node, size_t index) const {
  return index < node.inputs.size() && !node.inputs[index].empty();
}

const Lowering::Value& Lowering::value(const Node& node, size_t index) const {
  if (!has_input(node, index)) refuse(node.name, "input " + std::to_string(index) + " is missing");
  const auto found = values_.find(node.inputs[index]);
  if (found == values_.end())
    refuse(node.name, "input '" + node.inputs[index] + "' is an output that is not known");
  return found->second;
}

const Lowering::Value& Lowering::image(const Node& node, size_t index) const {
  const Value& v = value(node, index);
  if (v.constant != nullptr || v.layout != Layout::kImage)
    refuse(node.name, node.op_type + " of " + dims_text(v.dims) + ", which is not a feature map");
  return v;
}

const Lowering::Value& Lowering::channelled(const Node& node, size_t index) const {
  const Value& v = value(node, index);
  const bool fits = v.constant == nullptr &&
                    (v.layout == Layout::kImage || v.layout == Layout::kVector) &&
                    v.dims[1] == draft_.network.tensors[v.tensor].channels;
  if (!fits) refuse(node.name, node.op_type + " of " + dims_text(v.dims) + " is not known");
  return v;
}

ArrayPtr Lowering::constant(const Node& node, size_t index) const {
  const Value& v = value(node, index);
  if (v.constant == nullptr)
    refuse(node.name, "input " + std::to_string(index) + " is not a constant");
  return v.constant;
}

ArrayPtr Lowering::weights(const Node& node, size_t index) const {
  ArrayPtr array = constant(node, index);
  if (!array->is_float)
    refuse(node.name, "input " + std::to_string(index) + " holds integers, not weights");
  return array;
}

ArrayPtr Lowering::vector_of(const Node& node, size_t index, int64_t count) const {
  ArrayPtr array = weights(node, index);
  if (array->size() != count)
    refuse(node.name, "input " + std::to_string(index) + " has " + std::to_string(array->size()) +
                          " values, want " + std::to_string(count));
  return array;
}

std::vector<float> Lowering::per_channel(const Node& node, const ArrayPtr& array,
                                         const Dims& dims) const {
  const Dims& own = array->dims;
  bool fits = array->is_float && own.size() <= dims.size();
  for (size_t i = 0; fits && i < own.size(); ++i) {
    const size_t axis = dims.size() - own.size() + i;
    fits = own[i] == 1 || (axis == 1 && own[i] == dims[1]);
  }
  if (!fits)
    refuse(node.name,
           "constant of " + dims_text(own) + " is not one value per channel of " + dims_text(dims));
  if (array->size() == 1) return std::vector<float>(dims[1], array->floats[0]);
  return array->floats;
}

// ---- results

const onnx::Node& Lowering::checked_outputs(const Node& node) const {
  if (node.outputs.empty() || node.outputs[0].empty()) refuse(node.name, "has no output");
  return node;
}

void Lowering::set(const Node& node, Value v) {
  values_[checked_outputs(node).outputs[0]] = std::move(v);
}

void Lowering::alias(const Node& node, const Value& source, Dims dims, Layout layout) {
  Value v = source;
  v.dims = std::move(dims);
  v.layout = layout;
  set(node, std::move(v));
}

Op& Lowering::append(const Node& node, OpKind kind, const Value& input, const Dims& out_dims) {
  for (int64_t d : out_dims)
    if (d < 1) refuse(node.name, "leaves no output of " + dims_text(input.dims));
  Op op;
  op.kind = kind;
  op.name = node.name;
  op.input = input.tensor;
  op.output =
      add_tensor(draft_.network, checked_outputs(node).outputs[0], static_cast<int>(out_dims[1]));
  Value v;
  v.dims = out_dims;
  v.tensor = op.output;
  v.layout = out_dims.size() == 4 ? Layout::kImage : Layout::kVector;
  set(node, std::move(v));
  draft_.network.ops.push_back(std::move(op));
  return draft_.network.ops.back();
}

void Lowering::append_affine(const Node& node, const Value& input, std::vector<float> scale,
                             std::vector<float> shift) {
  const Value in = input;
  Op& op = append(node, OpKind::kAffine, in, in.dims);
  op.weights = draft_.arrays.add(std::move(scale));
  op.bias = draft_.arrays.add(std::move(shift));
  op.bias_kind = BiasKind::kPerChannel;
}

void Lowering::append_activation(const Node& node, Activation activation, float low, float high,
                                 std::vector<float> slopes) {
  const Value in = channelled(node, 0);
  Op& op = append(node, OpKind::kActivation, in, in.dims);
  op.activation = activation;
  op.clip_low = low;
  op.clip_high = high;
  op.slopes = draft_.arrays.add(std::move(slopes));
}

// ---- outputs

void Lowering::add_output(const onnx::ValueInfo& info) {
  const auto found = values_.find(info.name);
  if (found == values_.end() || found->second.constant != nullptr)
    throw Error(ErrorKind::kBadModel, "output '" + info.name + "' does not depend on the input");
  draft_.network.role == NetworkRole::kDetector ? add_head(info, found->second)
                                                : add_embedding(info, found->second);
}

void Lowering::add_head(const onnx::ValueInfo& info, const Value& v) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ErrorKind::kBadModel, "output '" + info.name + "': " + reason);
  };
  if (v.layout != Layout::kRows)
    fail("shape " + dims_text(v.dims) + " is not rows of a detector's head");
  Head head;
  head.name = info.name;
  head.tensor = v.tensor;
  head.columns = static_cast<int>(v.dims.back());
  head.sigmoid = v.sigmoid;
  head.batch_dim = v.dims.size() == 3;
  const int channels = draft_.network.tensors[v.tensor].channels;
  if (head.columns < 1 || channels % head.columns != 0)
    fail(std::to_string(head.columns) + " columns do not divide " + std::to_string(channels) +
         " channels");
  draft_.heads.push_back(head);
}

void Lowering::add_embedding(const onnx::ValueInfo& info, const Value& v) {
  Network& n = draft_.network;
  const int channels = n.tensors[v.tensor].channels;
  if (v.dims.size() != 2 || v.layout != Layout::kVector || v.dims[1] != channels)
    throw Error(ErrorKind::kBadModel, "output '" + info.name + "': shape " + dims_text(v.dims) +
                                          " is not one vector per face");
  n.outputs.push_back({info.name, v.tensor, 0, channels, channels, false, false});
  n.embedding_size = channels;
}

}  // namespace face
