// SPDX-License-Identifier: MIT
// weights_tool/graph_interpreter.h - runs an ONNX graph slowly and obviously, in double: what a
// converted network is held against. Shares no arithmetic with the converter.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face::onnx {

/// A tensor at run time. Integers and booleans are doubles too (exact up to 2^53), but divide as
/// integers do.
struct Values {
  std::vector<int64_t> dims;  // empty: a scalar
  std::vector<double> data;
  bool integer = false;
};

/// The graph's outputs, in its order, for inputs by name. Opset 9 to 17; broadcasting as ONNX has
/// it; convolutions and pools in two dimensions. Spreads channels over the machine's cores and
/// keeps no more tensors than are still to be read.
/// Errors: kBadModel - "FILE: node NAME: reason", an op or attribute that is not known, shapes that
/// do not fit; kInvalidArgument - an input is missing or has another shape than the graph declares.
[[nodiscard]] std::vector<Values> interpret(const Graph& graph,
                                            std::map<std::string, Values> inputs);

}  // namespace face::onnx
