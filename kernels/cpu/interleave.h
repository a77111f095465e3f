// SPDX-License-Identifier: MIT
// kernels/cpu/interleave.h - three planes of a network's input as pixels.
#pragma once

namespace face::cpu {

/// out[3 * x + c] = plane c at x, for x in [0, width).
void interleave(const float* red, const float* green, const float* blue, int width, float* out);

}  // namespace face::cpu
