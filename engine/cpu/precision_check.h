// SPDX-License-Identifier: MIT
// engine/cpu/precision_check.h - how far bfloat16 takes a network from float32.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/cpu/exact_ways.h"

namespace face::cpu {

/// 64 bits of everything that a network computes with: structure, weights, biases, slopes. Any one
/// number that differs gives another digest.
[[nodiscard]] uint64_t network_digest(const Network& network, const Parallel& parallel);

/// Measures one network, at one input size, on made-up pictures (precision_rule.h).
class PrecisionCheck {
 public:
  /// Makes the network in float32 that answers are held against; null if it cannot.
  using MakeExact = std::function<std::unique_ptr<Executable>(const CompileOptions&)>;

  /// `network` is borrowed; `options` are those it is compiled with.
  PrecisionCheck(const Network& network, const Shape& input, const CompileOptions& options,
                 MakeExact make_exact);

  /// What an error depends on, but for the machine (machine_line()): the network's digest, its
  /// input, the team, the ways, the tensors stored as bfloat16 (map_storage.h). One line.
  [[nodiscard]] std::string key(const Ways& ways, const std::vector<bool>& bf16_maps) const;

  /// The answers in float32, computed once. They take a second set of weights for a while: a good
  /// moment is before the first has been made.
  void compute_exact();

  /// The largest relative L2 error of an ONNX output; infinite for a NaN. In a merged head the
  /// scores, numbers of at most 1, would drown among the boxes, hence ONNX's outputs.
  [[nodiscard]] double error_of(Executable& executable);

 private:
  using Outputs = std::vector<std::vector<float>>;
  [[nodiscard]] Outputs outputs_of(Executable& executable, int first) const;

  const Network& network_;
  CompileOptions options_;
  MakeExact make_exact_;
  uint64_t digest_;
  Shape input_;
  int together_;  // pictures of one run
  std::vector<std::vector<float>> pictures_;
  std::vector<Outputs> exact_;  // of each run
};

}  // namespace face::cpu
