// SPDX-License-Identifier: MIT
// tests/support/planes.h - a network's input as test executables want it, whatever its layout.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/math/types.h"

namespace face::test {

/// Image `i` of a batch, (3, height, width). `input`: as Executable::run() under `layout`.
inline std::vector<float> planes(const float* input, PixelLayout layout, int height, int width,
                                 int i) {
  const size_t pixels = size_t(height) * width;
  const float* image = input + i * 3 * pixels;
  std::vector<float> result(image, image + 3 * pixels);
  if (layout == PixelLayout::kNchw) return result;
  for (size_t c = 0; c < 3; ++c)
    for (size_t p = 0; p < pixels; ++p) result[c * pixels + p] = image[3 * p + c];
  return result;
}

}  // namespace face::test
