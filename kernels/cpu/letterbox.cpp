// SPDX-License-Identifier: MIT
#include "kernels/cpu/letterbox.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/letterbox.cpp"
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target:
#include "hwy/highway.h"
#include "kernels/cpu/pixel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace face::cpu::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

/// Columns [0, end) but for an odd last one; returns how many.
HWY_INLINE int resize_line_vectors(const uint8_t* row, const int32_t* offsets,
                                   const int32_t* weights, int end, int16_t* rgbx) {
  const auto column = [&](int x) HWY_ATTR {
    return hn::ShiftRight<4>(
        add_pair(load_pair(row + offsets[x]), pair_weights(weights[x]), hn::Zero(Tag32())));
  };
  int x = 0;
  for (; x + 1 < end; x += 2) store_two(column(x), column(x + 1), rgbx + 4 * x);
  return x;
}

HWY_INLINE int blend_lines_vectors(const int16_t* upper, const int16_t* lower, const ResizeTap& tap,
                                   int count, int16_t* out) {
  const hn::ScalableTag<int16_t> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto weight0 = hn::Set(d, static_cast<int16_t>(tap.weight0));
  const auto weight1 = hn::Set(d, static_cast<int16_t>(tap.weight1));
  const auto two = hn::Set(d, int16_t{2});
  int i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto a = hn::MulHigh(hn::LoadU(d, upper + i), weight0);
    const auto b = hn::MulHigh(hn::LoadU(d, lower + i), weight1);
    hn::StoreU(hn::ShiftRight<2>(hn::Add(hn::Add(a, b), two)), d, out + i);
  }
  return i;
}

#else

HWY_INLINE int resize_line_vectors(const uint8_t*, const int32_t*, const int32_t*, int, int16_t*) {
  return 0;
}
HWY_INLINE int blend_lines_vectors(const int16_t*, const int16_t*, const ResizeTap&, int,
                                   int16_t*) {
  return 0;
}

#endif  // HWY_SCALAR

/// One source row, resized horizontally; columns before `end` may be read kPairBytes at a time.
void resize_line(const uint8_t* row, const int32_t* offsets, const int32_t* weights, int end,
                 int width, int16_t* rgbx) {
  for (int x = resize_line_vectors(row, offsets, weights, end, rgbx); x < width; ++x) {
    const ResizeTap tap{0, 0, weights[x] & 0xffff, weights[x] >> 16};
    const uint8_t* left = row + offsets[x];
    const uint8_t* right = tap.weight1 != 0 ? left + 3 : left;
    for (int c = 0; c < 3; ++c)
      rgbx[4 * x + c] = static_cast<int16_t>(resize_horizontal(left[c], right[c], tap));
  }
}

/// Two resized lines to one row of the output; `count` values, four per pixel.
void blend_lines(const int16_t* upper, const int16_t* lower, const ResizeTap& tap, int count,
                 int16_t* out) {
  for (int i = blend_lines_vectors(upper, lower, tap, count, out); i < count; ++i)
    out[i] = static_cast<int16_t>(resize_vertical(upper[i], lower[i], tap));
}

void write_letterbox_row(const int16_t* rgbx, int width, const Normalisation& n,
                         const InputImage& out, int y) {
  write_row(rgbx, width, n, out, y);
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace face::cpu {

HWY_EXPORT(resize_line);
HWY_EXPORT(blend_lines);
HWY_EXPORT(write_letterbox_row);

namespace {

/// Paints what of the square was drawn on, or all of it, and lies beyond the picture.
void pad(const Fit& fit, const Fit* drawn, float value, const InputImage& out) {
  const int bottom = drawn != nullptr ? drawn->height : out.height;
  const int right = drawn != nullptr ? drawn->width : out.width;
  for (int y = 0; y < bottom; ++y) out.fill(y, y < fit.height ? fit.width : 0, right, value);
}

}  // namespace

Letterbox::Letterbox(int size)
    : size_(size), offsets_(size), weights_(size), output_row_(size_t(4) * size) {
  for (auto& line : lines_) line.resize(size_t(4) * size);
}

Fit Letterbox::run(const ImageView& image, const Normalisation& normalisation,
                   const InputImage& out, const Fit* drawn) {
  const Fit fit = fit_letterbox(image.height, image.width, size_);
  make_columns(image, fit);
  line_rows_[0] = line_rows_[1] = -1;
  for (int y = 0; y < fit.height; ++y) {
    const ResizeTap tap = resize_tap_y(y, fit.step_y, image.height);
    const int16_t* upper = line(image, fit, tap.index0);
    const int16_t* lower = line(image, fit, tap.index1);
    HWY_DYNAMIC_DISPATCH(blend_lines)(upper, lower, tap, 4 * fit.width, output_row_.data());
    HWY_DYNAMIC_DISPATCH(write_letterbox_row)
    (output_row_.data(), fit.width, normalisation, out, y);
  }
  pad(fit, drawn, normalise(0, normalisation), out);
  return fit;
}

void Letterbox::make_columns(const ImageView& image, const Fit& fit) {
  pairs_end_ = 0;
  for (int x = 0; x < fit.width; ++x) {
    const ResizeTap tap = resize_tap_x(x, fit.step_x, image.width);
    offsets_[x] = 3 * tap.index0;
    weights_[x] = tap.weight0 | tap.weight1 << 16;
    if (offsets_[x] + HWY_NAMESPACE::kPairBytes <= 3 * image.width) pairs_end_ = x + 1;
  }
}

const int16_t* Letterbox::line(const ImageView& image, const Fit& fit, int y) {
  for (int i : {0, 1})
    if (line_rows_[i] == y) return lines_[i].data();
  const int i = line_rows_[0] < line_rows_[1] ? 0 : 1;  // rows come in rising order
  HWY_DYNAMIC_DISPATCH(resize_line)
  (pixel_at(image, y, 0), offsets_.data(), weights_.data(), pairs_end_, fit.width,
   lines_[i].data());
  line_rows_[i] = y;
  return lines_[i].data();
}

}  // namespace face::cpu
#endif  // HWY_ONCE
