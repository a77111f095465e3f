// SPDX-License-Identifier: MIT
// engine/cpu/bf16.h - what bfloat16 hardware would answer, on machines without it.
#pragma once

#include <memory>
#include <vector>

#include "engine/cpu/layer.h"

namespace face::cpu {

/// Weights of `problem` rounded to bfloat16, as float32.
[[nodiscard]] std::vector<float> rounded_weights(const ConvProblem& problem);

/// A layer that computes in float32 on inputs rounded to bfloat16: what bfloat16 hardware gives, up
/// to the order of sums. `layer` holds rounded weights.
[[nodiscard]] std::unique_ptr<Layer> emulate_bf16(std::unique_ptr<Layer> layer,
                                                  const ConvDesc& desc);

}  // namespace face::cpu
