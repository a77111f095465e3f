// SPDX-License-Identifier: MIT
// engine/cpu/arena.h - where each tensor lies: tensors that are never alive together share memory.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/network.h"

namespace face::cpu {

/// Places in one block of memory, per image. Tensors that leave the network have none: they lie in
/// buffers of their own.
struct ArenaPlan {
  static constexpr size_t kNone = static_cast<size_t>(-1);
  std::vector<size_t> offset;          // floats, indexed by TensorId; a multiple of 16, or kNone
  std::vector<size_t> scratch_offset;  // likewise, indexed by op
  size_t floats = 0;                   // of the block
};

/// What else is known of an op.
struct OpMemory {
  size_t scratch = 0;              // floats, while it runs
  bool reads_input_first = false;  // Conv::reads_input_first()
};

/// Tensors that an Output or DetectorLevel names.
[[nodiscard]] std::vector<bool> leaving_tensors(const Network& network);

/// An op's output takes the place of its addend if the addend is read for the last time there and
/// has the same size. Largest tensors are placed first, each in the lowest gap that is free during
/// its life. `floats`: of each tensor, per image; `memory`: of each op; empty: nothing is known.
[[nodiscard]] ArenaPlan plan_arena(const Network& network, const std::vector<size_t>& floats,
                                   const std::vector<OpMemory>& memory = {});

}  // namespace face::cpu
