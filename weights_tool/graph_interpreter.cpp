// SPDX-License-Identifier: MIT
#include "weights_tool/graph_interpreter.h"

#include <algorithm>
#include <utility>

#include "engine/error.h"
#include "weights_tool/interpreter/ops.h"

namespace face::onnx {
namespace {

/// One pass over a graph.
class Run {
 public:
  Run(const Graph& graph, std::map<std::string, Values> inputs)
      : graph_(graph), values_(std::move(inputs)) {
    for (const Node& node : graph.nodes)
      for (const std::string& name : node.inputs) ++readers_[name];
    for (const ValueInfo& output : graph.outputs) ++readers_[output.name];
  }

  std::vector<Values> outputs() {
    for (const ValueInfo& input : graph_.inputs) check_input(input);
    for (const Node& node : graph_.nodes) run(node);
    std::vector<Values> outputs;
    for (const ValueInfo& output : graph_.outputs) outputs.push_back(value(output.name));
    return outputs;
  }

 private:
  void check_input(const ValueInfo& input) const {
    const auto found = values_.find(input.name);
    const auto fail = [&](const std::string& reason) {
      throw Error(ErrorKind::kInvalidArgument,
                  graph_.file + ": input '" + input.name + "' " + reason);
    };
    if (found == values_.end()) fail("is missing");
    const auto& dims = found->second.dims;
    bool fits = dims.size() == input.dims.size() &&
                found->second.data.size() == static_cast<size_t>(interpreter::count(dims));
    for (size_t i = 0; fits && i < dims.size(); ++i)
      fits = input.dims[i] < 0 || input.dims[i] == dims[i];
    if (!fits) fail("has another shape than the graph declares");
  }

  /// A value that was computed, or a constant.
  const Values& value(const std::string& name) {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    const auto constant = graph_.initializers.find(name);
    if (constant == graph_.initializers.end())
      throw Error(ErrorKind::kBadModel, graph_.file + ": value '" + name + "' is not computed");
    return values_[name] = interpreter::to_values(*constant->second);
  }

  void run(const Node& node) {
    interpreter::Call call{node, graph_.opset, {}};
    for (const std::string& name : node.inputs)
      call.inputs.push_back(name.empty() ? nullptr : &value(name));
    const interpreter::Function op = interpreter::find_op(node.op_type);
    try {
      call.require(op != nullptr, "op " + node.op_type + " is not known");
      call.require(!node.outputs.empty(), "has no output");
      values_[node.outputs[0]] = op(call);
    } catch (const Error& e) {
      throw Error(e.kind(), graph_.file + ": " + e.what());
    }
    for (const std::string& name : node.inputs)
      if (--readers_[name] == 0) values_.erase(name);
  }

  const Graph& graph_;
  std::map<std::string, Values> values_;
  std::map<std::string, int> readers_;  // that are still to run
};

}  // namespace

std::vector<Values> interpret(const Graph& graph, std::map<std::string, Values> inputs) {
  return Run(graph, std::move(inputs)).outputs();
}

}  // namespace face::onnx
