// SPDX-License-Identifier: MIT
// tests/support/onnx_file.h - writes a Graph as ONNX, and folders that go away with the test.
#pragma once

#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "weights_tool/onnx_graph.h"

namespace face::test {

/// A folder of its own for each object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "face_test.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// As raw data: float32 or int64.
inline void fill_tensor(::onnx::TensorProto& tensor, const onnx::Array& array) {
  for (int64_t d : array.dims) tensor.add_dims(d);
  tensor.set_data_type(array.is_float ? ::onnx::TensorProto::FLOAT : ::onnx::TensorProto::INT64);
  if (array.is_float)
    tensor.set_raw_data(array.floats.data(), array.floats.size() * sizeof(float));
  else
    tensor.set_raw_data(array.ints.data(), array.ints.size() * sizeof(int64_t));
}

inline void fill_attribute(::onnx::AttributeProto& a, const onnx::Attribute& value) {
  using ::onnx::AttributeProto;
  if (const auto* i = std::get_if<int64_t>(&value)) {
    a.set_type(AttributeProto::INT);
    a.set_i(*i);
  } else if (const auto* f = std::get_if<float>(&value)) {
    a.set_type(AttributeProto::FLOAT);
    a.set_f(*f);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    a.set_type(AttributeProto::STRING);
    a.set_s(*s);
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    a.set_type(AttributeProto::INTS);
    for (int64_t v : *ints) a.add_ints(v);
  } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
    a.set_type(AttributeProto::FLOATS);
    for (float v : *floats) a.add_floats(v);
  } else {
    a.set_type(AttributeProto::TENSOR);
    fill_tensor(*a.mutable_t(), *std::get<std::shared_ptr<const onnx::Array>>(value));
  }
}

inline void fill_info(::onnx::ValueInfoProto& info, const onnx::ValueInfo& value) {
  info.set_name(value.name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(::onnx::TensorProto::FLOAT);
  for (int64_t d : value.dims) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (d < 0)
      dim.set_dim_param("N");
    else
      dim.set_dim_value(d);
  }
}

inline ::onnx::ModelProto to_model(const onnx::Graph& graph) {
  ::onnx::ModelProto model;
  model.set_ir_version(7);
  model.set_producer_name(graph.producer);
  model.add_opset_import()->set_version(graph.opset);
  auto& g = *model.mutable_graph();
  for (const onnx::Node& node : graph.nodes) {
    auto& n = *g.add_node();
    n.set_op_type(node.op_type);
    n.set_name(node.name);
    for (const std::string& name : node.inputs) n.add_input(name);
    for (const std::string& name : node.outputs) n.add_output(name);
    for (const auto& [name, value] : node.attributes) {
      auto& a = *n.add_attribute();
      a.set_name(name);
      fill_attribute(a, value);
    }
  }
  for (const auto& [name, array] : graph.initializers) {
    auto& tensor = *g.add_initializer();
    tensor.set_name(name);
    fill_tensor(tensor, *array);
  }
  for (const onnx::ValueInfo& v : graph.inputs) fill_info(*g.add_input(), v);
  for (const onnx::ValueInfo& v : graph.outputs) fill_info(*g.add_output(), v);
  return model;
}

inline void write_onnx(const onnx::Graph& graph, const std::filesystem::path& path) {
  write_bytes(path, to_model(graph).SerializeAsString());
}

}  // namespace face::test
