// SPDX-License-Identifier: MIT
// kernels/math/letterbox.h - fits a picture into a square: the only definition, for host and
// device.
//
// The pixels are those of cv2.resize(INTER_LINEAR) on uint8, to the bit (OpenCV 4.x and 5.0, also
// where it switches to its 2x2 area average: the sums agree): half-pixel centres, weights of 11
// bits, the horizontal sum cut by 4 bits, each vertical product by 16, rounded at the end.
// Source: opencv/modules/imgproc/src/resize.cpp, HResizeLinear and VResizeLinear for uchar.
#pragma once

#include <cmath>

#include "kernels/math/host_device.h"
#include "kernels/math/pixel.h"
#include "kernels/math/types.h"

namespace face {

/// Where the resized picture lies: the top left (height, width) of the network's square input.
struct Fit {
  int height = 0;
  int width = 0;
  float scale = 1.f;   // network pixels per image pixel: results are divided by it
  double step_y = 1.;  // image pixels per network pixel
  double step_x = 1.;
};

/// The longer side fills `size`, the other is truncated, not rounded, as the reference does. A
/// sliver keeps one pixel (there the reference fails) and takes its scale from the longer side.
/// REQUIRES: image_height, image_width, size >= 1.
FACE_HD Fit fit_letterbox(int image_height, int image_width, int size) {
  const double ratio = static_cast<double>(image_height) / image_width;
  const bool tall = ratio > 1.;
  const int other = static_cast<int>(tall ? size / ratio : size * ratio);
  Fit fit;
  fit.height = tall ? size : (other < 1 ? 1 : other);
  fit.width = tall ? (other < 1 ? 1 : other) : size;
  const bool by_height = tall || other >= 1;
  fit.scale = static_cast<float>(by_height ? static_cast<double>(fit.height) / image_height
                                           : static_cast<double>(fit.width) / image_width);
  fit.step_y = 1. / (static_cast<double>(fit.height) / image_height);
  fit.step_x = 1. / (static_cast<double>(fit.width) / image_width);
  return fit;
}

/// The two source positions of one output position along one axis; weights in 1/2048.
struct ResizeTap {
  int index0 = 0;
  int index1 = 0;
  int weight0 = 0;
  int weight1 = 0;
};

/// Tap without regard to the image's border: indices may be -1 or `size of the image`.
FACE_HD ResizeTap resize_tap(int out, double step) {
  const float position = static_cast<float>(mul_add_rn(out + 0.5, step, -0.5));
  const float floor = std::floor(position);
  const float fraction = position - floor;
  const int index = static_cast<int>(floor);
  return {index, index + 1, static_cast<int>(std::rint((1.f - fraction) * 2048.f)),
          static_cast<int>(std::rint(fraction * 2048.f))};
}

/// Column tap: beyond the border the nearest column alone counts.
FACE_HD ResizeTap resize_tap_x(int x, double step, int image_width) {
  const ResizeTap tap = resize_tap(x, step);
  if (tap.index0 < 0) return {0, 0, 2048, 0};
  if (tap.index1 >= image_width) return {image_width - 1, image_width - 1, 2048, 0};
  return tap;
}

/// Row tap: beyond the border both rows are the nearest, with the weights as they are.
FACE_HD ResizeTap resize_tap_y(int y, double step, int image_height) {
  ResizeTap tap = resize_tap(y, step);
  tap.index0 = clamp(tap.index0, 0, image_height - 1);
  tap.index1 = clamp(tap.index1, 0, image_height - 1);
  return tap;
}

/// Horizontal interpolation of two values 0..255, in 1/128: 0..32640, so 16 bits hold it.
FACE_HD int resize_horizontal(int left, int right, const ResizeTap& tap) {
  return (left * tap.weight0 + right * tap.weight1) >> 4;
}

/// Vertical interpolation of two results of resize_horizontal(): 0..255.
FACE_HD int resize_vertical(int upper, int lower, const ResizeTap& tap) {
  return (((upper * tap.weight0) >> 16) + ((lower * tap.weight1) >> 16) + 2) >> 2;
}

/// A value between four neighbours: upper left and right, lower left and right.
FACE_HD int resize_value(int a, int b, int c, int d, const ResizeTap& row,
                         const ResizeTap& column) {
  return resize_vertical(resize_horizontal(a, b, column), resize_horizontal(c, d, column), row);
}

/// Pixel of the resized picture at the crossing of two taps. Image: ImageView of RGB, or Ycc420.
template <typename Image>
FACE_HD Rgb resize_pixel(const Image& image, const ResizeTap& row, const ResizeTap& column) {
  const Rgb a = rgb_at(image, row.index0, column.index0);
  const Rgb b = rgb_at(image, row.index0, column.index1);
  const Rgb c = rgb_at(image, row.index1, column.index0);
  const Rgb d = rgb_at(image, row.index1, column.index1);
  return {resize_value(a.r, b.r, c.r, d.r, row, column),
          resize_value(a.g, b.g, c.g, d.g, row, column),
          resize_value(a.b, b.b, c.b, d.b, row, column)};
}

/// Pixel (y, x) of the letterboxed square: the resized picture, black beyond it.
template <typename Image>
FACE_HD Rgb letterbox_pixel(const Image& image, const Fit& fit, int y, int x) {
  if (y >= fit.height || x >= fit.width) return {};
  return resize_pixel(image, resize_tap_y(y, fit.step_y, image.height),
                      resize_tap_x(x, fit.step_x, image.width));
}

}  // namespace face
