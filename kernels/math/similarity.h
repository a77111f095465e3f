// SPDX-License-Identifier: MIT
// kernels/math/similarity.h - rotation, scale and shift that take a face's landmarks to the places
// where the recogniser expects them.
#pragma once

#include <cmath>

#include "kernels/math/host_device.h"
#include "kernels/math/types.h"

namespace face {

/// (x, y) -> (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
struct Affine {
  double m[6] = {1., 0., 0., 0., 1., 0.};
};

/// Landmark i of the ArcFace template, for a square crop of `size` pixels.
FACE_HD Point arcface_landmark(int i, int size) {
  const float x[kLandmarks] = {38.2946f, 73.5318f, 56.0252f, 41.5493f, 70.7299f};
  const float y[kLandmarks] = {51.6963f, 51.5014f, 71.7366f, 92.3655f, 92.2041f};
  const float ratio = static_cast<float>(size) / 112.f;
  return {x[i] * ratio, y[i] * ratio};
}

/// The similarity (no reflection) that brings `from` closest to `to`, least squares: Umeyama 1991,
/// in the closed form of two dimensions, where no singular values are needed. Points that coincide
/// or are not finite give a pure shift. Host and device agree to 1e-12 relative.
FACE_HD Affine fit_similarity(const Point (&from)[kLandmarks], const Point (&to)[kLandmarks]) {
  double fx = 0., fy = 0., tx = 0., ty = 0.;
  for (int i = 0; i < kLandmarks; ++i) {
    fx += from[i].x, fy += from[i].y, tx += to[i].x, ty += to[i].y;
  }
  fx /= kLandmarks, fy /= kLandmarks, tx /= kLandmarks, ty /= kLandmarks;
  double dot = 0., cross = 0., spread = 0.;
  for (int i = 0; i < kLandmarks; ++i) {
    const double ax = from[i].x - fx, ay = from[i].y - fy, bx = to[i].x - tx, by = to[i].y - ty;
    dot += ax * bx + ay * by;
    cross += ax * by - ay * bx;
    spread += ax * ax + ay * ay;
  }
  const bool usable = spread > 0. && spread < 1e300 && dot * dot + cross * cross > 0.;
  const double a = usable ? dot / spread : 1.;    // scale * cos
  const double b = usable ? cross / spread : 0.;  // scale * sin
  return {{a, -b, tx - (a * fx - b * fy), b, a, ty - (b * fx + a * fy)}};
}

/// The inverse map, by the very operations of cv2.warpAffine; a singular matrix gives zeros.
FACE_HD Affine invert(const Affine& t) {
  const double* m = t.m;
  const double det = mul_add_rn(m[0], m[4], -mul_add_rn(m[1], m[3], 0.));
  const double d = det != 0. ? 1. / det : 0.;
  const double a = m[4] * d, b = m[1] * -d, c = m[3] * -d, e = m[0] * d;
  return {{a, b, -mul_add_rn(a, m[2], mul_add_rn(b, m[5], 0.)), c, e,
           -mul_add_rn(c, m[2], mul_add_rn(e, m[5], 0.))}};
}

/// The map from a crop of `size` pixels back to the picture, for a face's landmarks.
FACE_HD Affine crop_to_image(const Point (&landmarks)[kLandmarks], int size) {
  Point target[kLandmarks];
  for (int i = 0; i < kLandmarks; ++i) target[i] = arcface_landmark(i, size);
  return invert(fit_similarity(landmarks, target));
}

}  // namespace face
