// SPDX-License-Identifier: MIT
// weights_tool/draft.h - a network under construction: what lowering makes and the passes rewrite.
#pragma once

#include <string>
#include <vector>

#include "weights_tool/converter.h"

namespace face {

/// One output of a detector before the heads of its stride are merged: all channels of `tensor`.
struct Head {
  std::string name;
  TensorId tensor = kNoTensor;
  int columns = 0;  // 1 score, 4 box, 10 landmarks
  bool sigmoid = false;
  bool batch_dim = false;
};

struct Draft : ConvertedNetwork {
  std::vector<Head> heads;              // detectors: in the graph's order of outputs
  int height = 0, width = 0;            // size the shapes were probed at
  bool begins_with_arithmetic = false;  // the input is first read by Sub, Mul, Add or Div
};

/// Who writes and reads each tensor, as indices into Network::ops.
struct Links {
  static constexpr int kNobody = -1;
  static constexpr int kOutside = -2;  // reader: an output of the network
  std::vector<int> writer;             // kNobody: the input
  std::vector<std::vector<int>> readers;

  explicit Links(const Draft& draft);
  /// The only reader of `tensor`, or kNobody if there are several, none, or an output.
  [[nodiscard]] int only_reader(TensorId tensor) const;
};

/// Appends a tensor.
TensorId add_tensor(Network& network, const std::string& name, int channels);

/// Throws Error(kBadModel, "node NAME: reason"); convert() puts the file before it.
[[noreturn]] void refuse(const std::string& node, const std::string& reason);

}  // namespace face
