// SPDX-License-Identifier: MIT
// engine/cpu/choice.h - one way of computing each convolution of a network.
#pragma once

#include <vector>

#include "engine/cpu/candidates.h"
#include "engine/cpu/selection.h"

namespace face::cpu {

/// A convolution, the ways to compute it, and the timings of those that can.
struct TimedConv {
  const Op* op = nullptr;
  std::vector<Candidate> ways;
  std::vector<Timing> timings;
};

/// How much each convolution's squared error counts in the network's; empty: all alike.
using ErrorWeights = std::vector<double>;

/// choose() with `error_price` milliseconds added per squared error of a way. Pointers into
/// `convs`. The errors of layers are independent, so it is their squares that add up to the
/// network's.
[[nodiscard]] std::vector<const Candidate*> choose_ways(const std::vector<TimedConv>& convs,
                                                        size_t weight_budget, double error_price,
                                                        const ErrorWeights& weights = {});

/// Of all of them together.
[[nodiscard]] double squared_error(const std::vector<const Candidate*>& ways,
                                   const ErrorWeights& weights = {});

/// Bytes of their packed weights, and what they take. REQUIRES: each is among the timings.
[[nodiscard]] size_t weight_bytes(const std::vector<TimedConv>& convs,
                                  const std::vector<const Candidate*>& ways);
[[nodiscard]] double milliseconds(const std::vector<TimedConv>& convs,
                                  const std::vector<const Candidate*>& ways);

/// Milliseconds of all of them, each computed in the fastest way.
[[nodiscard]] double least_milliseconds(const std::vector<TimedConv>& convs);

}  // namespace face::cpu
