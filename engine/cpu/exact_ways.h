// SPDX-License-Identifier: MIT
// engine/cpu/exact_ways.h - the fastest ways of computing a network's convolutions that stay near
// enough to float32.
#pragma once

#include <functional>
#include <vector>

#include "engine/cpu/choice.h"

namespace face::cpu {

using Ways = std::vector<const Candidate*>;  // one per convolution, in the network's order

/// The fastest ways found for which `error_of` gives at most `tolerance`; in the end float32 alone,
/// which is not asked about. If the fastest of all are not exact enough, errors get a price that
/// rises until the network ought to be, which is asked. Where that is much slower than the fastest
/// ways, a few questions tell how much the errors of the first layers, of those that follow and so
/// on count, and errors are priced by that. Of layers that would change at the same price as few
/// change as needed, the first ones. A dozen questions at most. Pointers into `convs`.
[[nodiscard]] Ways exact_enough_ways(const std::vector<TimedConv>& convs, size_t weight_budget,
                                     double tolerance,
                                     const std::function<double(const Ways&)>& error_of);

}  // namespace face::cpu
