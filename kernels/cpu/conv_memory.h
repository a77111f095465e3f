// SPDX-License-Identifier: MIT
// kernels/cpu/conv_memory.h - aligned memory for packed weights and layout of scratch buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/cpu/bf16.h"

namespace face::cpu {

struct FreeMemory {
  void operator()(float* p) const noexcept { std::free(p); }
};
/// Floats on a 64-byte boundary.
using AlignedFloats = std::unique_ptr<float[], FreeMemory>;

/// `count` zeros. Throws std::bad_alloc.
[[nodiscard]] inline AlignedFloats aligned_zeros(size_t count) {
  const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
  auto* p = static_cast<float*>(std::aligned_alloc(64, bytes));
  if (p == nullptr && bytes > 0) throw std::bad_alloc();
  for (size_t i = 0; i < bytes / sizeof(float); ++i) p[i] = 0.f;
  return AlignedFloats(p);
}

/// Puts channel `c` of one output channel among words (conv_plan.h) of `lanes` output channels.
inline void put_weight(float* words, size_t lanes, int c, bool bf16, float weight) {
  if (!bf16) {
    words[c * lanes] = weight;
    return;
  }
  const uint16_t half = to_bf16(weight);
  auto* word = reinterpret_cast<char*>(words + c / 2 * lanes);
  std::memcpy(word + c % 2 * sizeof(half), &half, sizeof(half));
}

/// The next multiple of a cache line, in floats.
[[nodiscard]] constexpr size_t round_to_line(size_t floats) { return (floats + 15) / 16 * 16; }

/// Likewise, an odd number of lines: rows that far apart do not compete for the same cache sets.
[[nodiscard]] constexpr size_t round_to_odd_lines(size_t floats) {
  const size_t lines = (floats + 15) / 16;
  return (lines | 1) * 16;
}

}  // namespace face::cpu
