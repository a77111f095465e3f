// SPDX-License-Identifier: MIT
// engine/cpu/map_storage.h - which maps between two layers lie in memory as bfloat16.
//
// Our bfloat16 convolutions round what they multiply. A map that they alone read may as well be
// rounded when it is written: it then takes half of the memory's bandwidth. A direct convolution
// gives the same numbers as before; Winograd's rounds once more, before its transform.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/cpu/candidates.h"
#include "engine/network.h"

namespace face::cpu {

/// Maps that take no more bytes than this in float32 stay so: a core's cache holds them from one
/// layer to the next, where widening costs more than it saves.
constexpr size_t kMostFp32MapBytes = size_t{1} << 20;

/// For each tensor of `graph` whether it is stored as bfloat16: one of an even number of channels,
/// larger than kMostFp32MapBytes with all `images` of a pass unless all whose input it is prefer
/// such maps, that neither enters nor leaves the network, that a convolution writes whose way can
/// (Candidate::writes_bf16_maps), and that is read by convolutions alone whose ways can, as what
/// they read it for, input or addend.
/// `ways`: one per convolution, in the graph's order. `addends`: whether one that is added may be
/// among them.
[[nodiscard]] std::vector<bool> bf16_maps(const Network& graph, const std::vector<Shape>& shapes,
                                          int images, const std::vector<const Candidate*>& ways,
                                          bool addends = true);

/// Floats that each tensor takes per image, if those of `bf16` are stored so.
[[nodiscard]] std::vector<size_t> tensor_floats(const std::vector<Shape>& shapes,
                                                const std::vector<bool>& bf16);

}  // namespace face::cpu
