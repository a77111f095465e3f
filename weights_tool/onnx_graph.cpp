// SPDX-License-Identifier: MIT
#include "weights_tool/onnx_graph.h"

#include "engine/error.h"

namespace face::onnx {
namespace {

template <typename T>
T attribute(const Node& node, const std::string& name, T fallback, const char* wanted) {
  const auto found = node.attributes.find(name);
  if (found == node.attributes.end()) return fallback;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error(ErrorKind::kBadModel,
              "node " + node.name + ": attribute '" + name + "' is not " + wanted);
}

}  // namespace

int64_t Array::size() const {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return n;
}

int64_t int_attribute(const Node& node, const std::string& name, int64_t fallback) {
  return attribute<int64_t>(node, name, fallback, "an integer");
}

float float_attribute(const Node& node, const std::string& name, float fallback) {
  return attribute<float>(node, name, fallback, "a number");
}

std::string string_attribute(const Node& node, const std::string& name,
                             const std::string& fallback) {
  return attribute<std::string>(node, name, fallback, "a text");
}

std::vector<int64_t> ints_attribute(const Node& node, const std::string& name,
                                    const std::vector<int64_t>& fallback) {
  return attribute<std::vector<int64_t>>(node, name, fallback, "a list of integers");
}

}  // namespace face::onnx
