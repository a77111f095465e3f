// SPDX-License-Identifier: MIT
// engine/cpu/pooling.h - pools and upsampling. All take any activation behind them.
#pragma once

#include <memory>

#include "engine/cpu/layer.h"

namespace face::cpu {

/// kMaxPool, kAveragePool. Windows that leave the input: its pixels alone count, unless
/// count_include_pad, where the padding counts as zeros.
[[nodiscard]] std::unique_ptr<Layer> make_pooling(const Op& op, const LayerShapes& shapes);

/// kUpsample2x.
[[nodiscard]] std::unique_ptr<Layer> make_upsampling(const Op& op, const LayerShapes& shapes);

/// 2x2, stride 2. REQUIRES: even height and width.
[[nodiscard]] std::unique_ptr<Layer> make_max_pool_2x2(const Shape& input, int max_batch);

}  // namespace face::cpu
