// SPDX-License-Identifier: MIT
// engine/cpu/plain_conv.h - plain loops for convolutions that nothing faster takes: several groups
// of several channels, strides that differ.
#pragma once

#include <memory>

#include "engine/cpu/layer.h"

namespace face::cpu {

/// Any problem. Sums in the order kernel row, kernel column, input channel.
[[nodiscard]] std::unique_ptr<Layer> make_plain_conv(const ConvProblem& problem);

}  // namespace face::cpu
