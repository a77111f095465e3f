// SPDX-License-Identifier: MIT
// weights_tool/onnx_graph.h - an ONNX graph as plain values: what the passes and the interpreter
// work on. Only onnx_reader.cpp and synth know protobuf.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace face::onnx {

/// A constant tensor. Float weights are float32 whatever the file stored (float, double, float16);
/// integer and bool tensors are int64. Exactly one of the two vectors is used.
struct Array {
  std::vector<int64_t> dims;  // empty: a scalar
  bool is_float = true;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  [[nodiscard]] int64_t size() const;  // product of dims, 1 for a scalar
};

using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>,
                               std::vector<float>, std::shared_ptr<const Array>>;

struct Node {
  std::string op_type;
  std::string name;                 // the file's, or "OpType_index" where it has none
  std::vector<std::string> inputs;  // "" for an optional input that is absent
  std::vector<std::string> outputs;
  std::map<std::string, Attribute> attributes;
};

/// A graph input or output; a dimension that is symbolic or unknown is -1.
struct ValueInfo {
  std::string name;
  std::vector<int64_t> dims;
};

struct Graph {
  std::string file;               // for messages: name without folder
  std::string sha256;             // of the file, lower-case hex
  std::string producer;           // producer_name
  int64_t opset = 0;              // of the default domain
  std::vector<ValueInfo> inputs;  // without those that are initializers
  std::vector<ValueInfo> outputs;
  std::vector<Node> nodes;                                           // topological order
  std::map<std::string, std::shared_ptr<const Array>> initializers;  // shared between users
};

/// Reads a model file: raw and typed fields, external data beside the file, opset 9 to 17.
/// Errors: kIo; kBadModel - "FILE: node NAME: reason" (not ONNX, truncated, an op, dtype or
/// opset that is not known, an input nothing produces, a cycle).
[[nodiscard]] Graph read_onnx(const std::filesystem::path& path);

/// As read_onnx(), of bytes in memory that `file` names in messages; external data is refused.
/// Frees `bytes` as soon as they are parsed.
[[nodiscard]] Graph parse_onnx(std::string bytes, const std::string& file);

/// Attribute with a default; a wrong type is Error(kBadModel) that names node and attribute.
[[nodiscard]] int64_t int_attribute(const Node& node, const std::string& name, int64_t fallback);
[[nodiscard]] float float_attribute(const Node& node, const std::string& name, float fallback);
[[nodiscard]] std::string string_attribute(const Node& node, const std::string& name,
                                           const std::string& fallback);
[[nodiscard]] std::vector<int64_t> ints_attribute(const Node& node, const std::string& name,
                                                  const std::vector<int64_t>& fallback);

}  // namespace face::onnx
