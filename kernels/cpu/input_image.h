// SPDX-License-Identifier: MIT
// kernels/cpu/input_image.h - the memory of one network input that pixels are written into.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/math/types.h"

namespace face::cpu {

/// Bytes that the vector kernels read at the first byte of a pixel, to get its neighbour too.
constexpr int kPairBytes = 16;

/// One image of a network's input, not owned: 3 * height * width floats.
/// Shape: (3, height, width) for kNchw, (height, width, 3) for kNhwc.
struct InputImage {
  float* data = nullptr;
  int height = 0;
  int width = 0;
  PixelLayout layout = PixelLayout::kNchw;

  [[nodiscard]] size_t size() const { return size_t(3) * height * width; }
  [[nodiscard]] size_t pixel_step() const { return layout == PixelLayout::kNchw ? 1 : 3; }
  [[nodiscard]] size_t channel_step() const {
    return layout == PixelLayout::kNchw ? size_t(height) * width : 1;
  }
  /// Red of pixel (y, 0).
  [[nodiscard]] float* row(int y) const { return data + size_t(y) * width * pixel_step(); }

  /// Sets pixels [begin, end) of row y, all channels.
  void fill(int y, int begin, int end, float value) const {
    if (begin >= end) return;
    float* first = row(y) + begin * pixel_step();
    const size_t count = static_cast<size_t>(end - begin);
    if (layout == PixelLayout::kNhwc) {
      std::fill_n(first, 3 * count, value);
    } else {
      for (int c = 0; c < 3; ++c) std::fill_n(first + c * channel_step(), count, value);
    }
  }
};

}  // namespace face::cpu
