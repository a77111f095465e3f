// SPDX-License-Identifier: MIT
// engine/image/bmp_header.h - everything a BMP says before its pixels.
#pragma once

#include "engine/image.h"
#include "engine/image/bytes.h"

namespace face::image {

/// One colour of a pixel of 16 or 32 bits: value = (pixel & mask) >> shift, 0 .. max.
struct BmpField {
  uint32_t mask = 0;
  int shift = 0;
  uint32_t max = 0;
};

struct BmpHeader {
  enum class Coding { kRows, kRle8, kRle4 };

  int width = 0, height = 0;
  bool top_down = false;
  int depth = 0;  // bits per pixel: 1, 4, 8 with a palette; 16, 32 with fields; 24
  Coding coding = Coding::kRows;
  BmpField fields[3];  // red, green, blue
  Bytes palette;       // blue, green, red(, unused), colours of palette_step bytes
  size_t palette_step = 4;
  size_t stride = 0;  // bytes of a stored row
  Bytes pixels;       // from the first row on; all rows are there if coding is kRows
};

/// Takes the headers of Windows 2 to 5 and OS/2 1 and 2. Errors: as probe_bmp().
[[nodiscard]] BmpHeader read_bmp_header(Bytes bytes, const ImageLimits& limits);

}  // namespace face::image
