// SPDX-License-Identifier: MIT
// kernels/cpu/letterbox.h - a picture resized into the top left of a network's square input.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/input_image.h"
#include "kernels/math/letterbox.h"
#include "kernels/math/pixel.h"

namespace face::cpu {

/// Letterboxes pictures into squares of one size. Every value is
/// normalise(letterbox_pixel(...)) of kernels/math/letterbox.h, to the bit.
/// Threads: one per thread; run() uses the object's scratch. run() allocates nothing.
class Letterbox {
 public:
  /// REQUIRES: size >= 1, the side of the squares.
  explicit Letterbox(int size);

  /// Writes all of `out` and returns where the picture lies in it.
  /// REQUIRES: image at least 1x1; out is size x size.
  /// drawn: what an earlier run() with the same normalisation returned for this very memory, if
  /// nothing else wrote there since: padding that is still in place is not written again.
  Fit run(const ImageView& image, const Normalisation& normalisation, const InputImage& out,
          const Fit* drawn = nullptr);

  [[nodiscard]] int size() const { return size_; }

 private:
  void make_columns(const ImageView& image, const Fit& fit);
  const int16_t* line(const ImageView& image, const Fit& fit, int y);

  int size_;
  std::vector<int32_t> offsets_;   // first byte of each output column's left source pixel
  std::vector<int32_t> weights_;   // of each output column, four times: left | right << 16
  int pairs_end_ = 0;              // columns before it may be read kPairBytes at a time in any row
  std::vector<int16_t> lines_[2];  // source rows, resized horizontally, rgbx
  int line_rows_[2] = {-1, -1};    // which rows they are
};

}  // namespace face::cpu
