// SPDX-License-Identifier: MIT
// kernels/cpu/conv_pixels_inl.h - the pixels under a tile or a row of windows: rows and columns of
// the image, or (at a border) a table of pointers. Of the elements of a map (conv_words_inl.h).
#pragma once

#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

template <typename Element>
struct InnerPixels {
  const Element* origin;
  size_t row, pixel;
  FACE_INLINE const Element* at(int i, int j) const { return origin + i * row + j * pixel; }
};
template <typename Element, int kNy, int kNx>
struct BorderPixels {
  const Element* pixels[kNy * kNx];
  FACE_INLINE const Element* at(int i, int j) const { return pixels[i * kNx + j]; }
};

/// Those from (y0, x0) on; `zeros` for each one outside of `image`: (height, width, channels).
template <int kNy, int kNx, typename Element>
BorderPixels<Element, kNy, kNx> border_pixels(const Element* image, const Element* zeros,
                                              int height, int width, int channels, int y0, int x0) {
  BorderPixels<Element, kNy, kNx> border;
  for (int i = 0; i < kNy; ++i) {
    for (int j = 0; j < kNx; ++j) {
      const int y = y0 + i, x = x0 + j;
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      border.pixels[i * kNx + j] =
          inside ? image + (static_cast<size_t>(y) * width + x) * channels : zeros;
    }
  }
  return border;
}

}  // namespace face::cpu::FACE_CONV_ISA
