// SPDX-License-Identifier: MIT
// weights_tool/comparison.h - an ONNX graph and the network made of it, both run in double on the
// same picture.
#pragma once

#include <string>
#include <vector>

#include "engine/network.h"
#include "weights_tool/onnx_graph.h"

namespace face {

/// How far one output is off.
struct OutputError {
  std::string name;
  std::vector<int64_t> dims;  // the ONNX graph's
  double max_absolute = 0;    // largest |network - graph|; NaN as below
  double relative_l2 = 0;     // |network - graph| / |graph|; NaN if either holds one
};

/// Every output for one seeded noise picture: of the size the graph is fixed to, else 64x96 for a
/// detector. Folding rounds weights to float32, so errors near 1e-7 are those of a good network.
/// Errors: kBadModel - the graph cannot be run, or an output is missing, one too many or of another
/// size.
[[nodiscard]] std::vector<OutputError> compare(const onnx::Graph& graph, const Network& network);

}  // namespace face
