// SPDX-License-Identifier: MIT
// kernels/cpu/align.h - a face turned upright into the recogniser's square input.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/input_image.h"
#include "kernels/math/pixel.h"
#include "kernels/math/types.h"
#include "kernels/math/warp.h"

namespace face::cpu {

/// Cuts aligned squares of one size out of pictures. Every value is normalise(warp_pixel(...)) of
/// kernels/math/warp.h under crop_to_image(), to the bit.
/// Threads: one per thread; run() uses the object's scratch. run() allocates nothing.
class Align {
 public:
  /// REQUIRES: size >= 1, the side of the squares.
  explicit Align(int size);

  /// Writes all of `out`; what lies beyond the picture is black.
  /// REQUIRES: image at least 1x1; out is size x size.
  void run(const ImageView& image, const Point (&landmarks)[kLandmarks],
           const Normalisation& normalisation, const InputImage& out);
  /// As run(), for a given map from the square to the picture.
  void warp(const ImageView& image, const Affine& map, const Normalisation& normalisation,
            const InputImage& out);

  [[nodiscard]] int size() const { return size_; }

 private:
  int size_;
  std::vector<int> column_x_;  // what each column adds to a source position, in 1/1024 pixel
  std::vector<int> column_y_;
  std::vector<int16_t> row_;  // rgbx
};

}  // namespace face::cpu
