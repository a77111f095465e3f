// SPDX-License-Identifier: MIT
// engine/cpu/executor.h - runs a Network on the CPU, layer by layer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/backend.h"
#include "kernels/cpu/conv.h"

namespace face::cpu {

struct ExecutorOptions {
  CompileOptions compile;
  /// Activations of one pass. A batch that would take more goes through in several passes: large
  /// maps gain nothing from being computed together.
  size_t arena_budget = size_t{64} << 20;
  /// Packed weights: at most this share of their float32 size, and never below the floor. Winograd
  /// weights are up to four times the size of plain ones.
  double weight_share = 2.2;
  size_t weight_floor = size_t{64} << 20;
  /// bf16: most relative L2 error of an output against fp32, seen on made-up pictures; others may
  /// be a third further off. A network that is not that exact gets more exact ways of computing its
  /// layers, in the end fp32: precision_check.h.
  double bf16_error = 1.5e-2;
  /// Each convolution by the simplest way: little time to make, and the least rounding.
  bool untimed = false;
  /// Whether ConvAlgorithm::kTiles may be chosen. For tests: without a matrix unit they compute in
  /// software.
  bool tiles = has_matrix_unit();
  /// For tests: candidates that it refuses are not tried.
  std::function<bool(const Op& op, const std::string& candidate)> accept;
};

/// The input that the options ask for, or the network's own, or 640 pixels square.
/// Throws Error(kInvalidArgument) if it has no pixels.
[[nodiscard]] Shape input_shape_of(const Network& network, const CompileOptions& options);

/// Threads the options ask for: those given, or the cores this process may use.
[[nodiscard]] int team_size(const CompileOptions& options);

/// kAuto becomes kBf16 where the CPU multiplies bfloat16 natively, else kFp32.
/// Throws Error(kInvalidArgument) for kFp16.
[[nodiscard]] Precision resolve_precision(Precision precision);

/// `network` must be valid and outlive the result. Errors: kInvalidArgument - an option out of
/// range or an input size that does not fit; kDevice - oneDNN failed, message names the op.
[[nodiscard]] std::unique_ptr<Executable> make_executor(const Network& network,
                                                        const ExecutorOptions& options);

}  // namespace face::cpu
