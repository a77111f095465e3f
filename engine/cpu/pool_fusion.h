// SPDX-License-Identifier: MIT
// engine/cpu/pool_fusion.h - max-pools as a part of the convolutions before them.
#pragma once

#include <vector>

#include "engine/network.h"

namespace face::cpu {

/// Takes each 2x2 max-pool of stride 2 into the convolution that it reads (Op::max_pooled), so that
/// the larger map need not be written: where nothing else reads that map, its height and width are
/// even, and the convolution has no addend. `shapes` are those of `network`.
[[nodiscard]] Network fuse_max_pools(const Network& network, const std::vector<Shape>& shapes);

}  // namespace face::cpu
