// SPDX-License-Identifier: MIT
#include "weights_tool/onnx_writer.h"

#include <onnx/onnx_pb.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "engine/error.h"

namespace face::onnx {
namespace {

namespace fs = std::filesystem;
using ::onnx::AttributeProto;
using ::onnx::TensorProto;

constexpr int64_t kIrVersion = 6;  // initializers need not be inputs since 4

template <typename T>
void set_raw(TensorProto& tensor, const std::vector<T>& values) {
  tensor.set_raw_data(values.data(), values.size() * sizeof(T));
}

void fill_tensor(TensorProto& tensor, const Array& array) {
  for (int64_t d : array.dims) tensor.add_dims(d);
  tensor.set_data_type(array.is_float ? TensorProto::FLOAT : TensorProto::INT64);
  array.is_float ? set_raw(tensor, array.floats) : set_raw(tensor, array.ints);
}

/// One overload per alternative of Attribute.
struct AttributeFiller {
  AttributeProto& a;
  void operator()(int64_t v) const {
    a.set_type(AttributeProto::INT);
    a.set_i(v);
  }
  void operator()(float v) const {
    a.set_type(AttributeProto::FLOAT);
    a.set_f(v);
  }
  void operator()(const std::string& v) const {
    a.set_type(AttributeProto::STRING);
    a.set_s(v);
  }
  void operator()(const std::vector<int64_t>& v) const {
    a.set_type(AttributeProto::INTS);
    a.mutable_ints()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<float>& v) const {
    a.set_type(AttributeProto::FLOATS);
    a.mutable_floats()->Add(v.begin(), v.end());
  }
  void operator()(const std::shared_ptr<const Array>& v) const {
    a.set_type(AttributeProto::TENSOR);
    fill_tensor(*a.mutable_t(), *v);
  }
};

void fill_node(::onnx::NodeProto& proto, const Node& node) {
  proto.set_op_type(node.op_type);
  proto.set_name(node.name);
  for (const std::string& name : node.inputs) proto.add_input(name);
  for (const std::string& name : node.outputs) proto.add_output(name);
  for (const auto& [name, value] : node.attributes) {
    AttributeProto& attribute = *proto.add_attribute();
    attribute.set_name(name);
    std::visit(AttributeFiller{attribute}, value);
  }
}

void fill_info(::onnx::ValueInfoProto& proto, const ValueInfo& info) {
  proto.set_name(info.name);
  auto& tensor = *proto.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(TensorProto::FLOAT);
  auto& shape = *tensor.mutable_shape();
  for (int64_t d : info.dims) {
    auto& dim = *shape.add_dim();
    if (d >= 0) dim.set_dim_value(d);
  }
}

::onnx::ModelProto to_proto(Graph& graph) {
  ::onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name(graph.producer);
  model.add_opset_import()->set_version(graph.opset);
  ::onnx::GraphProto& proto = *model.mutable_graph();
  proto.set_name("graph");
  for (const Node& node : graph.nodes) fill_node(*proto.add_node(), node);
  for (const ValueInfo& info : graph.inputs) fill_info(*proto.add_input(), info);
  for (const ValueInfo& info : graph.outputs) fill_info(*proto.add_output(), info);
  for (auto& [name, array] : graph.initializers) {
    TensorProto& tensor = *proto.add_initializer();
    tensor.set_name(name);
    fill_tensor(tensor, *array);
    array.reset();
  }
  return model;
}

}  // namespace

void write_onnx(Graph graph, const fs::path& path) {
  const ::onnx::ModelProto model = to_proto(graph);
  if (model.ByteSizeLong() > INT32_MAX)
    throw Error(ErrorKind::kBadModel, path.string() + ": larger than 2 GiB");
  const fs::path partial = path.string() + ".partial";
  std::ofstream out(partial, std::ios::binary);
  const bool written = out && model.SerializeToOstream(&out) && out.flush();
  const int error = errno;
  out.close();
  std::error_code renamed;
  if (written) fs::rename(partial, path, renamed);
  if (written && !renamed) return;
  std::error_code ignored;
  fs::remove(partial, ignored);
  throw Error(ErrorKind::kIo, path.string() + ": cannot write: " +
                                  (renamed ? renamed.message() : std::strerror(error)));
}

}  // namespace face::onnx
