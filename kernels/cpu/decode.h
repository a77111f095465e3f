// SPDX-License-Identifier: MIT
// kernels/cpu/decode.h - a detector's output tensors to candidates, the best of them at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/math/iou.h"
#include "kernels/math/types.h"

namespace face::cpu {

/// A face before non-maximum suppression, and its place in the order of anchors.
struct Candidate {
  Detection detection;
  uint32_t index = 0;  // see ranks_before() in kernels/math/iou.h
};

[[nodiscard]] inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return face::ranks_before(a.detection.score, a.index, b.detection.score, b.index);
}

/// The best `capacity` of any number of candidates, whatever the order they are added in.
/// Memory is allocated by the constructor alone; add() takes constant time on average.
class Candidates {
 public:
  /// REQUIRES: capacity >= 1.
  explicit Candidates(size_t capacity);

  void clear();
  /// Whether a candidate of this score and index may still be among the best: saves decoding it.
  [[nodiscard]] bool wants(float score, uint32_t index) const {
    return !full_ || face::ranks_before(score, index, floor_score_, floor_index_);
  }
  void add(const Candidate& candidate);
  /// The best, in order of rank; valid until the next clear() or add().
  [[nodiscard]] std::span<const Candidate> sorted();

 private:
  void drop_worst();

  size_t capacity_;
  std::vector<Candidate> items_;  // up to 2 * capacity_ of them
  bool full_ = false;             // capacity_ candidates rank at or before the floor
  float floor_score_ = 0.f;
  uint32_t floor_index_ = 0;
};

/// One level of a detector's head for one image: where the channels of DetectorLevel lie.
struct LevelView {
  const float* data = nullptr;  // (height, width, channels)
  int height = 0, width = 0, channels = 0;
  int stride = 0, anchors = 0;
  int score_channel = 0, box_channel = 0, landmark_channel = 0;

  [[nodiscard]] uint32_t anchor_count() const {
    return static_cast<uint32_t>(height) * width * anchors;
  }
};

/// Adds each anchor whose sigmoid(score) reaches `threshold`; its index is first_index + its place
/// among the level's anchors. `fit_scale` is Fit::scale.
/// Returns false, adding no more, at a score that is not finite, or a box or landmark of an anchor
/// that passes the threshold.
[[nodiscard]] bool decode_level(const LevelView& level, float threshold, float fit_scale,
                                uint32_t first_index, Candidates& candidates);

}  // namespace face::cpu
