// SPDX-License-Identifier: MIT
#include "kernels/cpu/align.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/align.cpp"
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target:
#include "hwy/highway.h"
#include "kernels/cpu/pixel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace face::cpu::HWY_NAMESPACE {

HWY_INLINE void store_scalar(const ImageView& image, const WarpPosition& p, int16_t* rgbx) {
  const Rgb v = warp_sample(image, p);
  rgbx[0] = static_cast<int16_t>(v.r);
  rgbx[1] = static_cast<int16_t>(v.g);
  rgbx[2] = static_cast<int16_t>(v.b);
}

#if HWY_TARGET != HWY_SCALAR

/// Whether all four pixels may be read by load_pair().
HWY_INLINE bool is_inside(const ImageView& image, const WarpPosition& p) {
  return p.x >= 0 && p.y >= 0 && 3 * p.x + kPairBytes <= 3 * image.width && p.y + 1 < image.height;
}

HWY_INLINE void store_sample(const ImageView& image, const WarpPosition& p, int16_t* rgbx) {
  if (!is_inside(image, p)) return store_scalar(image, p, rgbx);
  const uint8_t* upper = pixel_at(image, p.y, p.x);
  const int32_t columns = (32 - p.fraction_x) | p.fraction_x << 16;
  auto sum = hn::Set(Tag32(), 512);
  sum = add_pair(load_pair(upper), pair_weights(columns * (32 - p.fraction_y)), sum);
  sum = add_pair(load_pair(upper + image.stride), pair_weights(columns * p.fraction_y), sum);
  const auto value = hn::ShiftRight<10>(sum);
  hn::StoreU(hn::DemoteTo(hn::FixedTag<int16_t, 4>(), value), hn::FixedTag<int16_t, 4>(), rgbx);
}

#else

HWY_INLINE void store_sample(const ImageView& image, const WarpPosition& p, int16_t* rgbx) {
  store_scalar(image, p, rgbx);
}

#endif  // HWY_SCALAR

/// One row of the square, normalised into `out`.
void warp_line(const ImageView& image, const WarpRow& start, const int* column_x,
               const int* column_y, const Normalisation& n, int16_t* rgbx, const InputImage& out,
               int y) {
  for (int x = 0; x < out.width; ++x)
    store_sample(image, warp_position(start, column_x[x], column_y[x]), rgbx + 4 * x);
  write_row(FinishedRow{rgbx}, out.width, n, out, y);
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace face::cpu {

HWY_EXPORT(warp_line);

Align::Align(int size) : size_(size), column_x_(size), column_y_(size), row_(size_t(4) * size) {}

void Align::run(const ImageView& image, const Point (&landmarks)[kLandmarks],
                const Normalisation& normalisation, const InputImage& out) {
  warp(image, crop_to_image(landmarks, size_), normalisation, out);
}

void Align::warp(const ImageView& image, const Affine& map, const Normalisation& normalisation,
                 const InputImage& out) {
  for (int x = 0; x < size_; ++x) {
    column_x_[x] = warp_fixed(map.m[0] * x);
    column_y_[x] = warp_fixed(map.m[3] * x);
  }
  for (int y = 0; y < size_; ++y) {
    HWY_DYNAMIC_DISPATCH(warp_line)
    (image, warp_row(map, y), column_x_.data(), column_y_.data(), normalisation, row_.data(), out,
     y);
  }
}

}  // namespace face::cpu
#endif  // HWY_ONCE
