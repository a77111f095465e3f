// SPDX-License-Identifier: MIT
// engine/cpu/exact_ways.h - the fastest ways of computing a network's convolutions that stay near
// enough to float32.
#pragma once

#include <functional>
#include <vector>

#include "engine/cpu/choice.h"

namespace face::cpu {

using Ways = std::vector<const Candidate*>;  // one per convolution, in the network's order

/// The fastest ways for which `error_of` gives at most `tolerance`; in the end float32 alone, which
/// is not asked about. If the fastest of all are not exact enough, a few questions tell how much
/// the errors of the first layers, of those that follow and so on count; then errors get a price,
/// by their weight, that rises until the network ought to be exact enough, and until it is. Of
/// layers that would change at the same price as few change as needed, the first ones. Pointers
/// into `convs`.
[[nodiscard]] Ways exact_enough_ways(const std::vector<TimedConv>& convs, size_t weight_budget,
                                     double tolerance,
                                     const std::function<double(const Ways&)>& error_of);

}  // namespace face::cpu
