// SPDX-License-Identifier: MIT
// engine/cpu/selection.h - which implementation computes which layer: timed on this machine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cpu/candidates.h"

namespace face::cpu {

/// Where a layer works in the network: timing happens in place.
struct LayerMemory {
  float* input = nullptr;
  float* addend = nullptr;  // null without one
  float* output = nullptr;
};

/// A candidate that was tried.
struct Timing {
  std::string name;
  double milliseconds = 0;
  size_t weight_bytes = 0;
};

/// Times candidates once per process for equal problems: by key of problem, precision, batch and
/// team. Also keeps errors that were measured, in the same file. Threads: all members are safe, one
/// caller times at a time.
class Tuner {
 public:
  /// The one of this process.
  [[nodiscard]] static Tuner& shared();

  /// Timings of `candidates` for `problem`, in the order given; those that cannot compute it are
  /// left out. Bias, addend and activation behind a sum of many products are not told apart.
  /// Weights too large for a core's cache are timed cold, as they are in a network, unless reading
  /// them is little beside the work. All run on one image, of a large map on its upper rows alone;
  /// those that come near the best of that run on `batch` images. The others' times are estimates.
  /// Overwrites what `memory` points to.
  [[nodiscard]] std::vector<Timing> time(const ConvProblem& problem, Precision precision,
                                         const std::vector<Candidate>& candidates,
                                         const LayerMemory& memory, int batch,
                                         const Parallel& parallel);

  /// The error of a network, kept under PrecisionCheck::key(); none if it is not known.
  [[nodiscard]] std::optional<double> error(const std::string& key) const;
  /// Keeps it unless it is infinite.
  void keep_error(const std::string& key, double error);

  /// Takes over what earlier processes measured on this machine: timing_file.h.
  void load(const std::string& path);
  /// Writes all that is known to `path` if anything was measured since the last load() or save(),
  /// and frees what timing took.
  void save(const std::string& path);

 private:
  Tuner();
  struct State;
  std::unique_ptr<State> state_;
};

/// Index of the timing to take for each layer: the fastest, or, while their weights together are
/// over `weight_budget` bytes, the smaller one that loses least time per byte saved.
/// Among equals (within 3%) the first, which is the simplest.
[[nodiscard]] std::vector<size_t> choose(const std::vector<std::vector<Timing>>& layers,
                                         size_t weight_budget);

}  // namespace face::cpu
