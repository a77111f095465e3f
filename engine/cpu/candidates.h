// SPDX-License-Identifier: MIT
// engine/cpu/candidates.h - every way this machine has to compute a convolution.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/cpu/layer.h"

namespace face::cpu {

/// One implementation. make() packs the weights; null if it cannot compute this problem after all.
struct Candidate {
  std::string name;
  std::function<std::unique_ptr<Layer>(const ConvProblem&)> make;
};

/// In order of simplicity. Never empty. bf16: where the CPU multiplies bfloat16 natively, oneDNN's
/// primitives beside those of fp32 (which are more exact); else fp32 ones on rounded numbers.
[[nodiscard]] std::vector<Candidate> conv_candidates(const ConvProblem& problem,
                                                     Precision precision, int threads);

}  // namespace face::cpu
