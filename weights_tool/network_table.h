// SPDX-License-Identifier: MIT
// weights_tool/network_table.h - a network as text for people.
#pragma once

#include <string>

#include "engine/network.h"

namespace face {

/// One line per operation (name, kind, window, output shape, what is fused into it, MACs, bytes of
/// weights), then outputs and totals, for an input of `height` x `width` pixels. Errors: as
/// infer_shapes().
[[nodiscard]] std::string network_table(const Network& network, int height, int width);

}  // namespace face
