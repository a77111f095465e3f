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
  /// Relative L2 error to expect of its output from rounding to bfloat16; 0: computes in float32.
  double error = 0;
  /// Computes problems whose desc has bf16_input, and those with bf16_output, of an even number of
  /// channels.
  bool reads_bf16_maps = false, writes_bf16_maps = false;
  /// Rounds its whole input once, which of such a map is a copy: of any size it is faster.
  bool prefers_bf16_maps = false;
  /// Computes problems whose desc has bf16_addend, of an even number of channels.
  bool adds_bf16_maps = false;
};

/// In order of simplicity, those of fp32 first. Never empty. bf16: oneDNN's primitives and our
/// kernels of bfloat16 beside those of fp32 where the CPU multiplies bfloat16 natively; else fp32
/// ones on rounded numbers beside our kernels that round in software. `tiles`:
/// ConvAlgorithm::kTiles as well.
[[nodiscard]] std::vector<Candidate> conv_candidates(const ConvProblem& problem,
                                                     Precision precision, int threads,
                                                     bool tiles = has_matrix_unit());

/// The first of `candidates` that can compute a problem, as one.
[[nodiscard]] Candidate first_able(std::vector<Candidate> candidates);

/// make(0) to make(count - 1), on the whole team: packing weights takes longer than timing them.
/// Throws what one of them throws.
[[nodiscard]] std::vector<std::unique_ptr<Layer>> make_layers(
    size_t count, const std::function<std::unique_ptr<Layer>(size_t)>& make,
    const Parallel& parallel);

}  // namespace face::cpu
