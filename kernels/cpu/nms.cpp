// SPDX-License-Identifier: MIT
#include "kernels/cpu/nms.h"

#include "kernels/math/iou.h"

namespace face::cpu {

Nms::Nms(size_t capacity)
    : x1_(capacity),
      y1_(capacity),
      x2_(capacity),
      y2_(capacity),
      area_(capacity),
      dead_(capacity) {}

void Nms::run(std::span<const Candidate> candidates, float threshold,
              std::vector<Detection>& kept) {
  const size_t count = candidates.size();
  for (size_t i = 0; i < count; ++i) {
    const Box box = box_of(candidates[i].detection);
    x1_[i] = box.x1, y1_[i] = box.y1, x2_[i] = box.x2, y2_[i] = box.y2;
    area_[i] = box_area(box);
    dead_[i] = 0;
  }
  kept.clear();
  for (size_t i = 0; i < count; ++i) {
    if (dead_[i] != 0) continue;
    kept.push_back(candidates[i].detection);
    const Box box{x1_[i], y1_[i], x2_[i], y2_[i]};
    const float area = area_[i];
    for (size_t j = i + 1; j < count; ++j) {
      const float overlap = iou(box, area, {x1_[j], y1_[j], x2_[j], y2_[j]}, area_[j]);
      dead_[j] |= static_cast<uint8_t>(suppresses(overlap, threshold));
    }
  }
}

}  // namespace face::cpu
