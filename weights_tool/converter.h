// SPDX-License-Identifier: MIT
// weights_tool/converter.h - from an ONNX graph to the network that the engine runs.
//
// Two steps: lower() takes the graph node by node into unfused operations
// (weights_tool/lowering.h), then passes/ fold and fuse them, each leaving the network's outputs as
// they were.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/network.h"
#include "weights_tool/onnx_graph.h"

namespace face {

/// Owns the arrays that a network's spans point into; some belong to the ONNX graph too.
class ArrayStore {
 public:
  std::span<const float> add(std::vector<float> values);
  std::span<const float> add(std::shared_ptr<const onnx::Array> array);
  /// Frees what no operation of `network` uses any more.
  void keep_used(const Network& network);

 private:
  std::map<const float*, std::shared_ptr<const void>> arrays_;
};

/// A network and the memory behind its spans.
struct ConvertedNetwork {
  Network network;
  ArrayStore arrays;
};

/// Why a graph is neither detector nor recogniser, or what it is.
struct Classification {
  bool known = false;
  NetworkRole role = NetworkRole::kDetector;
  std::string reason;  // if not known
};

/// By inputs and outputs alone. A recogniser reads one 112x112 picture and gives one vector; a
/// detector has three outputs per stride: scores, boxes, landmarks.
[[nodiscard]] Classification classify(const onnx::Graph& graph);

/// The network, fused. Detectors take any size whatever size they were exported for: Input's
/// height and width are 0.
/// Errors: kBadModel, "FILE: node NAME: reason" or "FILE: reason".
[[nodiscard]] ConvertedNetwork convert(const onnx::Graph& graph);

/// The same network with one operation per ONNX node (heads of one stride merged): what the passes
/// are held against.
[[nodiscard]] ConvertedNetwork convert_unfused(const onnx::Graph& graph);

}  // namespace face
