// SPDX-License-Identifier: MIT
// kernels/math/iou.h - overlap of boxes, and the order in which non-maximum suppression sees them.
#pragma once

#include <cstdint>

#include "kernels/math/host_device.h"
#include "kernels/math/types.h"

namespace face {

struct Box {
  float x1 = 0.f;
  float y1 = 0.f;
  float x2 = 0.f;
  float y2 = 0.f;
};

FACE_HD Box box_of(const Detection& d) { return {d.x1, d.y1, d.x2, d.y2}; }

/// Area with the +1 convention: corners are pixels that belong to the box.
FACE_HD float box_area(const Box& b) { return (b.x2 - b.x1 + 1.f) * (b.y2 - b.y1 + 1.f); }

/// Intersection over union with the +1 convention, areas given.
/// Source: insightface scrfd.py, nms().
FACE_HD float iou(const Box& a, float area_a, const Box& b, float area_b) {
  const float x1 = a.x1 > b.x1 ? a.x1 : b.x1;
  const float y1 = a.y1 > b.y1 ? a.y1 : b.y1;
  const float x2 = a.x2 < b.x2 ? a.x2 : b.x2;
  const float y2 = a.y2 < b.y2 ? a.y2 : b.y2;
  const float w = x2 - x1 + 1.f > 0.f ? x2 - x1 + 1.f : 0.f;
  const float h = y2 - y1 + 1.f > 0.f ? y2 - y1 + 1.f : 0.f;
  return w * h / (area_a + area_b - w * h);
}

FACE_HD float iou(const Box& a, const Box& b) { return iou(a, box_area(a), b, box_area(b)); }

/// Whether a kept box suppresses one that ranks after it. An overlap that is no number (areas that
/// overflow) suppresses too, as in the reference.
FACE_HD bool suppresses(float overlap, float threshold) { return !(overlap <= threshold); }

/// Order of candidates: by falling score; ties by rising index, so that results never depend on
/// how they were gathered. Index: input size, level, row, column, anchor, in this nesting.
FACE_HD bool ranks_before(float score_a, uint32_t index_a, float score_b, uint32_t index_b) {
  return score_a > score_b || (score_a == score_b && index_a < index_b);
}

}  // namespace face
