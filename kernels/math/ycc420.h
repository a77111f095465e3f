// SPDX-License-Identifier: MIT
// kernels/math/ycc420.h - RGB pixels of a JPEG's YCbCr 4:2:0 planes: the only definition, for host
// and device.
//
// The pixels are those that libjpeg-turbo gives as RGB, to the bit: chroma goes up by a triangle
// filter, 3/4 and 1/4 in both directions, with its alternating rounding, then factors of 16 bits.
// Source: libjpeg-turbo, jdsample.c, h2v2_fancy_upsample; jdcolor.c, build_ycc_rgb_table.
#pragma once

#include "kernels/math/host_device.h"
#include "kernels/math/pixel.h"
#include "kernels/math/types.h"

namespace face {

/// The library replicates the chroma of narrower pictures instead of filtering it.
constexpr int kYcc420MinWidth = 5;

/// A side of the luma plane that holds `side` pixels: whole blocks of 16.
FACE_HD size_t ycc420_padded(int side) { return (static_cast<size_t>(side) + 15) / 16 * 16; }

/// Bytes of the planes of a picture of this size as stored: Y, then Cb and Cr, rows padded.
FACE_HD size_t ycc420_bytes(int stored_width, int stored_height) {
  return ycc420_padded(stored_width) * ycc420_padded(stored_height) * 3 / 2;
}

/// The planes of a view whose format is kYcc420.
struct Ycc420 {
  const uint8_t* luma = nullptr;
  const uint8_t* cb = nullptr;
  const uint8_t* cr = nullptr;
  size_t stride = 0;          // of luma; chroma has half
  int width = 0, height = 0;  // upright
  int stored_width = 0, stored_height = 0;
  int orientation = 1;
};

FACE_HD Ycc420 ycc420(const ImageView& image) {
  const bool turned = image.orientation >= 5;
  Ycc420 p;
  p.width = image.width;
  p.height = image.height;
  p.stored_width = turned ? image.height : image.width;
  p.stored_height = turned ? image.width : image.height;
  p.orientation = image.orientation;
  p.stride = image.stride;
  const size_t luma = p.stride * ycc420_padded(p.stored_height);
  p.luma = image.data;
  p.cb = image.data + luma;
  p.cr = p.cb + luma / 4;
  return p;
}

/// Chroma of stored pixel (y, x). `near` and `far`: rows of the plane; `side`: the next column.
FACE_HD int ycc420_chroma(const uint8_t* near, const uint8_t* far, int column, int side,
                          int rounding) {
  return (3 * (3 * near[column] + far[column]) + 3 * near[side] + far[side] + rounding) >> 4;
}

FACE_HD Rgb ycc_to_rgb(int y, int cb, int cr) {
  const int half = 1 << 15;
  cb -= 128;
  cr -= 128;
  return {clamp(y + ((91881 * cr + half) >> 16), 0, 255),
          clamp(y + ((-22554 * cb - 46802 * cr + half) >> 16), 0, 255),
          clamp(y + ((116130 * cb + half) >> 16), 0, 255)};
}

/// The pixel that is stored at (y, x).
FACE_HD Rgb ycc420_stored(const Ycc420& p, int y, int x) {
  const int last_row = (p.stored_height + 1) / 2 - 1, last_column = (p.stored_width + 1) / 2 - 1;
  const int row = y / 2, column = x / 2;
  const int other_row = clamp(row + (y % 2 != 0 ? 1 : -1), 0, last_row);
  const int side = clamp(column + (x % 2 != 0 ? 1 : -1), 0, last_column);
  const int rounding = x % 2 != 0 ? 7 : 8;
  const size_t near = p.stride / 2 * row, far = p.stride / 2 * other_row;
  return ycc_to_rgb(p.luma[p.stride * y + x],
                    ycc420_chroma(p.cb + near, p.cb + far, column, side, rounding),
                    ycc420_chroma(p.cr + near, p.cr + far, column, side, rounding));
}

/// Pixel (y, x) of the upright picture. REQUIRES: inside.
FACE_HD Rgb rgb_at(const Ycc420& p, int y, int x) {
  const int o = p.orientation;
  const int column = o >= 5 ? y : x, row = o >= 5 ? x : y;
  const bool mirrored = o == 2 || o == 3 || o == 7 || o == 8;
  const bool flipped = o == 3 || o == 4 || o == 6 || o == 7;
  return ycc420_stored(p, flipped ? p.stored_height - 1 - row : row,
                       mirrored ? p.stored_width - 1 - column : column);
}

}  // namespace face
