// SPDX-License-Identifier: MIT
// kernels/math/pixel.h - one RGB pixel, and what a network is fed in its place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/math/host_device.h"
#include "kernels/math/types.h"

namespace face {

/// Values 0..255.
struct Rgb {
  int r = 0;
  int g = 0;
  int b = 0;
};

/// A network's view of a value: (value - mean) * scale. Black becomes -mean * scale, not 0.
struct Normalisation {
  float mean = 127.5f;
  float scale = 1.f / 128;
};

FACE_HD float normalise(int value, const Normalisation& n) {
  return (static_cast<float>(value) - n.mean) * n.scale;
}

/// The first byte of pixel (y, x). REQUIRES: inside the image, which is RGB.
FACE_HD const uint8_t* pixel_at(const ImageView& image, int y, int x) {
  return image.data + static_cast<size_t>(y) * image.stride + static_cast<size_t>(x) * 3;
}

FACE_HD Rgb rgb_at(const ImageView& image, int y, int x) {
  const uint8_t* p = pixel_at(image, y, x);
  return {p[0], p[1], p[2]};
}

FACE_HD int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

}  // namespace face
