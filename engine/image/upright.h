// SPDX-License-Identifier: MIT
// engine/image/upright.h - turns a picture upright while its rows arrive, in one pass.
#pragma once

#include <memory>

#include "engine/image.h"

namespace face::image {

/// Rows that may be written before commit(); 32 rows of turned pixels fill cache lines.
constexpr int kStripRows = 32;

/// What UprightRows or turn_upright() allocate beyond the picture of a decoder with these headers.
[[nodiscard]] size_t upright_extra_bytes(const ImageInfo& info);

/// The target of a decoder that delivers rows from top to bottom. Orientations 1 to 4 are written
/// in place; 5 to 8 go through a strip of rows, never through a second picture.
class UprightRows {
 public:
  /// For a stored picture of info.width x info.height. Errors: kBusy - out of memory.
  explicit UprightRows(const ImageInfo& info, const std::shared_ptr<PixelMemory>& memory = nullptr);

  /// Where stored row `y` belongs, 3 * width bytes. REQUIRES: y < committed rows + kStripRows.
  [[nodiscard]] uint8_t* row(int y);
  /// The next `count` rows are written. REQUIRES: count <= kStripRows.
  void commit(int count);
  /// The upright picture. REQUIRES: all rows are committed.
  [[nodiscard]] Image take() { return std::move(image_); }

 private:
  int width_, height_, orientation_;
  int done_ = 0;
  Image image_;
  std::unique_ptr<uint8_t[]> strip_;
};

/// The upright copy of a whole picture: in place for orientations 1 to 4, else a second picture.
[[nodiscard]] Image turn_upright(Image stored, int orientation);

}  // namespace face::image
