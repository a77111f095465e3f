// SPDX-License-Identifier: MIT
// engine/cpu/fusion.h - what the executor computes as a part of a convolution, so that the map
// between the two need not be written.
#pragma once

#include <vector>

#include "engine/network.h"

namespace face::cpu {

/// Takes into a convolution, where nothing else reads the map between them:
/// - the 2x2 max-pool of stride 2 behind it (Op::max_pooled), if the map's height and width are
///   even and the convolution has no addend;
/// - the depthwise convolution before it (Op::depthwise), if it is 1x1 of stride 1.
/// `shapes` are those of `network`, whose tensors keep their ids.
[[nodiscard]] Network fuse(const Network& network, const std::vector<Shape>& shapes);

}  // namespace face::cpu
