// SPDX-License-Identifier: MIT
#include "kernels/cpu/decode.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/math/anchors.h"

namespace face::cpu {

Candidates::Candidates(size_t capacity) : capacity_(capacity) { items_.reserve(2 * capacity); }

void Candidates::clear() {
  items_.clear();
  full_ = false;
}

void Candidates::add(const Candidate& candidate) {
  if (!wants(candidate.detection.score, candidate.index)) return;
  items_.push_back(candidate);
  if (items_.size() == 2 * capacity_) drop_worst();
}

void Candidates::drop_worst() {
  const auto last = items_.begin() + static_cast<std::ptrdiff_t>(capacity_) - 1;
  std::nth_element(items_.begin(), last, items_.end(),
                   [](const Candidate& a, const Candidate& b) { return ranks_before(a, b); });
  floor_score_ = last->detection.score;
  floor_index_ = last->index;
  full_ = true;
  items_.resize(capacity_);
}

std::span<const Candidate> Candidates::sorted() {
  if (items_.size() > capacity_) drop_worst();
  std::sort(items_.begin(), items_.end(),
            [](const Candidate& a, const Candidate& b) { return ranks_before(a, b); });
  return items_;
}

namespace {

/// Decodes one anchor of a cell; false if its numbers are not finite.
bool add_anchor(const LevelView& level, const float* cell, int y, int x, int anchor, float score,
                float fit_scale, uint32_t index, Candidates& candidates) {
  const float* box = cell + level.box_channel + 4 * anchor;
  const float* landmarks = cell + level.landmark_channel + 2 * kLandmarks * anchor;
  const Detection d = decode_anchor(box, landmarks, y, x, level.stride, fit_scale, score);
  if (!is_finite(d)) return false;
  candidates.add({d, index});
  return true;
}

}  // namespace

bool decode_level(const LevelView& level, float threshold, float fit_scale, uint32_t first_index,
                  Candidates& candidates) {
  const float bound = surely_below(threshold);
  const float* cell = level.data;
  uint32_t index = first_index;
  for (int y = 0; y < level.height; ++y) {
    for (int x = 0; x < level.width; ++x, cell += level.channels) {
      for (int anchor = 0; anchor < level.anchors; ++anchor, ++index) {
        const float logit = cell[level.score_channel + anchor];
        if (!(std::fabs(logit) <= FLT_MAX)) return false;
        if (logit < bound) continue;
        const float score = sigmoid(logit);
        if (!(score >= threshold) || !candidates.wants(score, index)) continue;
        if (!add_anchor(level, cell, y, x, anchor, score, fit_scale, index, candidates))
          return false;
      }
    }
  }
  return true;
}

}  // namespace face::cpu
