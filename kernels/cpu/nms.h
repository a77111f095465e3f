// SPDX-License-Identifier: MIT
// kernels/cpu/nms.h - greedy non-maximum suppression.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/decode.h"
#include "kernels/math/types.h"

namespace face::cpu {

/// Boxes side by side, as vectors read them. Not owned; longer by one vector than what is in use.
struct NmsBoxes {
  const float *x1, *y1, *x2, *y2, *area;
  uint32_t* dead;  // all bits set: suppressed
};

/// Keeps the best of overlapping candidates.
/// Threads: one per thread; run() uses the object's scratch and allocates only what `kept` grows.
class Nms {
 public:
  /// REQUIRES: no run() gets more than `capacity` candidates.
  explicit Nms(size_t capacity);

  /// Walks `candidates`, sorted by rank, and keeps each whose IoU with every one kept before is at
  /// most `threshold`. Replaces `kept` by them, best first. O(candidates * kept).
  void run(std::span<const Candidate> candidates, float threshold, std::vector<Detection>& kept);

 private:
  std::vector<float> x1_, y1_, x2_, y2_, area_;
  std::vector<uint32_t> dead_;
};

}  // namespace face::cpu
