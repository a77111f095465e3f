// SPDX-License-Identifier: MIT
// kernels/math/warp.h - samples a picture under an affine map: the only definition, for host and
// device.
//
// The pixels are those of cv2.warpAffine(INTER_LINEAR, border 0) of OpenCV 4 up to 4.10, to the
// bit: source positions in 1/1024 pixel rounded to 1/32, integer weights. (OpenCV 5 no longer
// quantises and differs by up to 7 grey levels on noise.) Its table of 15-bit weights is
// (32 - fx) * (32 - fy) * 32 and so on, which is what is computed here, short of the factor 32.
// Source: opencv/modules/imgproc/src/imgwarp.cpp, warpAffine and remapBilinear.
#pragma once

#include <cmath>

#include "kernels/math/host_device.h"
#include "kernels/math/pixel.h"
#include "kernels/math/similarity.h"
#include "kernels/math/types.h"

namespace face {

/// `position` in 1/1024 pixel, half to even, kept where the sum of two such values fits an int.
/// What is not a number lands far outside.
FACE_HD int warp_fixed(double position) {
  const double limit = 1 << 29;
  const double v = std::rint(position * 1024.);
  return static_cast<int>(v < limit ? (v > -limit ? v : -limit) : limit);
}

/// A source position: pixel and fraction in 1/32.
struct WarpPosition {
  int x = 0;
  int y = 0;
  int fraction_x = 0;
  int fraction_y = 0;
};

/// Start of a row: what x = 0 contributes, with the rounding of the cut to 1/32 added.
struct WarpRow {
  int x = 0;
  int y = 0;
};

FACE_HD WarpRow warp_row(const Affine& map, int y) {
  return {warp_fixed(mul_add_rn(map.m[1], y, map.m[2])) + 16,
          warp_fixed(mul_add_rn(map.m[4], y, map.m[5])) + 16};
}

/// The source position of a column, given what the column adds: warp_fixed(m[0] * x) and
/// warp_fixed(m[3] * x), which are the same for every row.
FACE_HD WarpPosition warp_position(const WarpRow& row, int column_x, int column_y) {
  const int px = (row.x + column_x) >> 5;
  const int py = (row.y + column_y) >> 5;
  return {px >> 5, py >> 5, px & 31, py & 31};
}

/// Where output pixel x of a row comes from.
FACE_HD WarpPosition warp_position(const Affine& map, const WarpRow& row, int x) {
  return warp_position(row, warp_fixed(map.m[0] * x), warp_fixed(map.m[3] * x));
}

/// Bilinear sample; pixels outside the picture are black. Image: ImageView of RGB, or Ycc420.
template <typename Image>
FACE_HD Rgb warp_sample(const Image& image, const WarpPosition& p) {
  const int weight[4] = {(32 - p.fraction_x) * (32 - p.fraction_y),
                         p.fraction_x * (32 - p.fraction_y), (32 - p.fraction_x) * p.fraction_y,
                         p.fraction_x * p.fraction_y};
  int sum[3] = {512, 512, 512};
  for (int i = 0; i < 4; ++i) {
    const int x = p.x + (i & 1), y = p.y + (i >> 1);
    if (x < 0 || y < 0 || x >= image.width || y >= image.height) continue;
    const Rgb pixel = rgb_at(image, y, x);
    sum[0] += weight[i] * pixel.r;
    sum[1] += weight[i] * pixel.g;
    sum[2] += weight[i] * pixel.b;
  }
  return {sum[0] >> 10, sum[1] >> 10, sum[2] >> 10};
}

/// Output pixel (y, x); `map` leads from the output to the picture (see crop_to_image()).
template <typename Image>
FACE_HD Rgb warp_pixel(const Image& image, const Affine& map, int y, int x) {
  return warp_sample(image, warp_position(map, warp_row(map, y), x));
}

}  // namespace face
