// SPDX-License-Identifier: MIT
// engine/reference/network_interpreter.h - runs a Network slowly and obviously, in double: what the
// executors and the converter's passes are held against.
#pragma once

#include <vector>

#include "engine/network.h"

namespace face::reference {

/// One image's tensor: values (channels, height, width).
struct Values {
  Shape shape;
  std::vector<double> data;
  [[nodiscard]] double at(int c, int y, int x) const {
    return data[(size_t(c) * shape.height + y) * shape.width + x];
  }
};

/// All tensors, indexed by TensorId, for one input of (channels, height, width) in the network's
/// own normalisation. Spreads output channels over the machine's cores.
/// REQUIRES: validate(network) passed. Errors: kInvalidArgument - as infer_shapes(), or the input's
/// shape does not fit.
[[nodiscard]] std::vector<Values> run(const Network& network, const Values& input);

}  // namespace face::reference
