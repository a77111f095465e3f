// SPDX-License-Identifier: MIT
// kernels/math/anchors.h - from the numbers of a detector's head to a face in the picture.
#pragma once

#include <cmath>

#include "kernels/math/host_device.h"
#include "kernels/math/types.h"

namespace face {

FACE_HD float sigmoid(float x) { return 1.f / (1.f + std::exp(-x)); }

/// A logit below which sigmoid() is surely under `threshold`: spares the exponential for most
/// anchors. The exact test is sigmoid(logit) >= threshold.
FACE_HD float surely_below(float threshold) {
  if (!(threshold > 0.f)) return -INFINITY;
  const float bound = std::log(threshold / (1.f - threshold)) - 1e-3f;
  return bound < 9.f ? bound : 9.f;  // above it the sigmoid's rounding outgrows the margin
}

/// The face at cell (y, x) of a level.
/// Shapes: box [l, t, r, b], landmarks [5][x, y], both in cells of `stride` pixels.
/// Units: all anchors of a cell are centred at (x * stride, y * stride); the result is in pixels of
/// the picture, `fit_scale` being Fit::scale. Host and device agree to 1e-6 of the largest
/// coordinate involved (contraction). Source: insightface scrfd.py, distance2bbox, distance2kps.
FACE_HD Detection decode_anchor(const float* box, const float* landmarks, int y, int x, int stride,
                                float fit_scale, float score) {
  const float s = static_cast<float>(stride);
  const float cx = static_cast<float>(x) * s;
  const float cy = static_cast<float>(y) * s;
  Detection d;
  d.x1 = (cx - box[0] * s) / fit_scale;
  d.y1 = (cy - box[1] * s) / fit_scale;
  d.x2 = (cx + box[2] * s) / fit_scale;
  d.y2 = (cy + box[3] * s) / fit_scale;
  d.score = score;
  for (int i = 0; i < kLandmarks; ++i) {
    d.landmarks[i].x = (cx + landmarks[2 * i] * s) / fit_scale;
    d.landmarks[i].y = (cy + landmarks[2 * i + 1] * s) / fit_scale;
  }
  return d;
}

/// True if box, score and landmarks are numbers, none infinite.
FACE_HD bool is_finite(const Detection& d) {
  float sum = d.x1 * 0.f + d.y1 * 0.f + d.x2 * 0.f + d.y2 * 0.f + d.score * 0.f;
  for (int i = 0; i < kLandmarks; ++i) sum += d.landmarks[i].x * 0.f + d.landmarks[i].y * 0.f;
  return sum == 0.f;  // anything not finite times 0 is NaN
}

}  // namespace face
