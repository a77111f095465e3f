// SPDX-License-Identifier: MIT
// engine/cpu/precision_rule.h - where bfloat16 may compute, and whether it was exact enough.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend.h"
#include "engine/network.h"

namespace face::cpu {

/// Layers that bfloat16 hardly makes faster stay float32, for they cost accuracy all the same:
/// those of few products per sum (depthwise, the first), those whose numbers leave the network, and
/// the cheapest ones, a small share of the work together. A matrix unit (AMX) is so much faster
/// that all but depthwise ones are worth it. Borrows nothing after construction but the network.
class PrecisionRule {
 public:
  PrecisionRule(const Network& network, const std::vector<Shape>& shapes, Precision wanted,
                bool matrix_unit);
  /// `wanted`, or kFp32.
  [[nodiscard]] Precision precision_of(const Op& op) const;
  /// Largest Candidate::error of what may compute it.
  [[nodiscard]] double most_error(const Op& op) const;

 private:
  [[nodiscard]] bool is_shallow(const Op& op) const;

  const Network& network_;
  const std::vector<Shape>& shapes_;
  Precision wanted_;
  bool matrix_unit_;
  std::vector<bool> leaving_;
  uint64_t least_work_;
};

/// Made-up pictures as a network takes them, (3, height, width) in [-1, 1], a smooth one and a
/// rough one; the same in every process.
[[nodiscard]] std::vector<std::vector<float>> probe_pictures(const Shape& shape);

/// The largest relative L2 error of `outputs` against what is `exact`; infinite for a NaN.
[[nodiscard]] double worst_error(const std::vector<std::vector<float>>& outputs,
                                 const std::vector<std::vector<float>>& exact);

/// Whether each of `outputs` is within a relative L2 error of `tolerance` of what is `exact`.
[[nodiscard]] bool agree(const std::vector<std::vector<float>>& outputs,
                         const std::vector<std::vector<float>>& exact, double tolerance);

}  // namespace face::cpu
