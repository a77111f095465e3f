// SPDX-License-Identifier: MIT
// kernels/math/types.h - the plain values that cross between host and device: images, faces.
// C++17 and no library types, so that any CUDA toolkit from 11.8 on can compile it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace face {

enum class PixelFormat : uint8_t {
  kRgb,     // (height, width, 3), interleaved
  kYcc420,  // a JPEG's planes as stored: kernels/math/ycc420.h
};

/// A picture of 8-bit samples, not owned, rows of `stride` bytes; of planes those of luma.
/// REQUIRES: kRgb - stride >= 3 * width, orientation 1.
struct ImageView {
  const uint8_t* data = nullptr;
  int width = 0;  // upright
  int height = 0;
  size_t stride = 0;
  PixelFormat format = PixelFormat::kRgb;
  uint8_t orientation = 1;  // EXIF 1..8, from what is stored to upright
};

/// Order of a network input's floats: (channels, height, width) or (height, width, channels).
enum class PixelLayout : uint8_t { kNchw, kNhwc };

/// A point in pixels, x to the right, y down.
struct Point {
  float x = 0.f;
  float y = 0.f;
};

constexpr int kLandmarks = 5;  // left eye, right eye, nose, left and right mouth corner

/// A face found by the detector, before recognition. Boxes are not clamped to the image.
/// Units: pixels of the image given to the detector; score in [0, 1].
struct Detection {
  float x1 = 0.f;
  float y1 = 0.f;
  float x2 = 0.f;
  float y2 = 0.f;
  float score = 0.f;
  Point landmarks[kLandmarks];
};

}  // namespace face
