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

/// Output column x; weights hold four times the two of each column.
HWY_INLINE hn::Vec<Tag32> resize_column(const uint8_t* row, const int32_t* offsets,
                                        const int32_t* weights, int x) {
  const auto weight = hn::BitCast(Tag16(), hn::LoadU(Tag32(), weights + 4 * x));
  return hn::ShiftRight<4>(add_pair(load_pair(row + offsets[x]), weight, hn::Zero(Tag32())));
}

#if HWY_MAX_BYTES >= 32

using Wide8 = hn::FixedTag<uint8_t, 32>;
using Wide16 = hn::FixedTag<int16_t, 16>;
using Wide32 = hn::FixedTag<int32_t, 8>;

/// Output columns x and x + 1.
HWY_INLINE hn::Vec<Wide32> resize_two(const uint8_t* row, const int32_t* offsets,
                                      const int32_t* weights, int x) {
  const auto bytes = hn::Combine(Wide8(), hn::LoadU(Tag8(), row + offsets[x + 1]),
                                 hn::LoadU(Tag8(), row + offsets[x]));
  const auto pairs = hn::TableLookupBytesOr0(bytes, hn::LoadDup128(Wide8(), kOrder));
  const auto weight = hn::BitCast(Wide16(), hn::LoadU(Wide32(), weights + 4 * x));
  auto rest = hn::Zero(Wide32());
  const auto sum = hn::ReorderWidenMulAccumulate(Wide32(), hn::BitCast(Wide16(), pairs), weight,
                                                 hn::Zero(Wide32()), rest);
  return hn::ShiftRight<4>(hn::RearrangeToOddPlusEven(sum, rest));
}

/// Columns [0, end), as many as come in fours; returns how many.
HWY_INLINE int resize_fours(const uint8_t* row, const int32_t* offsets, const int32_t* weights,
                            int end, int16_t* rgbx) {
  alignas(32) static constexpr int32_t kInOrder[8] = {0, 1, 4, 5, 2, 3, 6, 7};
  const auto in_order = hn::SetTableIndices(Wide32(), kInOrder);
  int x = 0;
  for (; x + 3 < end; x += 4) {
    const auto packed = hn::ReorderDemote2To(Wide16(), resize_two(row, offsets, weights, x),
                                             resize_two(row, offsets, weights, x + 2));
    const auto words = hn::TableLookupLanes(hn::BitCast(Wide32(), packed), in_order);
    hn::StoreU(hn::BitCast(Wide16(), words), Wide16(), rgbx + 4 * x);
  }
  return x;
}

#else

HWY_INLINE int resize_fours(const uint8_t*, const int32_t*, const int32_t*, int, int16_t*) {
  return 0;
}

#endif  // 32 bytes

/// Columns [0, end) but for an odd last one; returns how many.
HWY_INLINE int resize_line_vectors(const uint8_t* row, const int32_t* offsets,
                                   const int32_t* weights, int end, int16_t* rgbx) {
  int x = resize_fours(row, offsets, weights, end, rgbx);
  for (; x + 1 < end; x += 2)
    store_two(resize_column(row, offsets, weights, x), resize_column(row, offsets, weights, x + 1),
              rgbx + 4 * x);
  return x;
}

#else

HWY_INLINE int resize_line_vectors(const uint8_t*, const int32_t*, const int32_t*, int, int16_t*) {
  return 0;
}

#endif  // HWY_SCALAR

/// One source row, resized horizontally; columns before `end` may be read kPairBytes at a time.
void resize_line(const uint8_t* row, const int32_t* offsets, const int32_t* weights, int end,
                 int width, int16_t* rgbx) {
  for (int x = resize_line_vectors(row, offsets, weights, end, rgbx); x < width; ++x) {
    const ResizeTap tap{0, 0, weights[4 * x] & 0xffff, weights[4 * x] >> 16};
    const uint8_t* left = row + offsets[x];
    const uint8_t* right = tap.weight1 != 0 ? left + 3 : left;
    for (int c = 0; c < 3; ++c)
      rgbx[4 * x + c] = static_cast<int16_t>(resize_horizontal(left[c], right[c], tap));
  }
}

/// Two resized lines, blended as they are read: a source for write_row().
struct BlendedRow {
  const int16_t* upper;
  const int16_t* lower;
  ResizeTap tap;

#if HWY_TARGET != HWY_SCALAR
  template <class D>
  HWY_INLINE hn::Vec<D> load(D du, int i) const {
    const hn::Repartition<int16_t, D> d;
    const auto weight0 = hn::Set(d, static_cast<int16_t>(tap.weight0));
    const auto weight1 = hn::Set(d, static_cast<int16_t>(tap.weight1));
    const auto a = hn::MulHigh(hn::LoadU(d, upper + i), weight0);
    const auto b = hn::MulHigh(hn::LoadU(d, lower + i), weight1);
    return hn::BitCast(du, hn::ShiftRight<2>(hn::Add(hn::Add(a, b), hn::Set(d, int16_t{2}))));
  }
#endif
  [[nodiscard]] int at(int i) const { return resize_vertical(upper[i], lower[i], tap); }
};

/// Blends two resized lines into row y of `out`.
void blend_lines(const int16_t* upper, const int16_t* lower, const ResizeTap& tap, int width,
                 const Normalisation& n, const InputImage& out, int y) {
  write_row(BlendedRow{upper, lower, tap}, width, n, out, y);
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace face::cpu {

HWY_EXPORT(resize_line);
HWY_EXPORT(blend_lines);

namespace {

/// Paints what of the square was drawn on, or all of it, and lies beyond the picture.
void pad(const Fit& fit, const Fit* drawn, float value, const InputImage& out) {
  const int bottom = drawn != nullptr ? drawn->height : out.height;
  const int right = drawn != nullptr ? drawn->width : out.width;
  for (int y = 0; y < bottom; ++y) out.fill(y, y < fit.height ? fit.width : 0, right, value);
}

}  // namespace

Letterbox::Letterbox(int size) : size_(size), offsets_(size), weights_(size_t(4) * size) {
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
    HWY_DYNAMIC_DISPATCH(blend_lines)(upper, lower, tap, fit.width, normalisation, out, y);
  }
  pad(fit, drawn, normalise(0, normalisation), out);
  return fit;
}

void Letterbox::make_columns(const ImageView& image, const Fit& fit) {
  pairs_end_ = 0;
  for (int x = 0; x < fit.width; ++x) {
    const ResizeTap tap = resize_tap_x(x, fit.step_x, image.width);
    offsets_[x] = 3 * tap.index0;
    std::fill_n(&weights_[size_t(4) * x], 4, tap.weight0 | tap.weight1 << 16);
    if (offsets_[x] + kPairBytes <= 3 * image.width) pairs_end_ = x + 1;
  }
}

const int16_t* Letterbox::line(const ImageView& image, const Fit& fit, int y) {
  for (int i : {0, 1})
    if (line_rows_[i] == y) return lines_[i].data();
  const int i = line_rows_[0] < line_rows_[1] ? 0 : 1;  // rows come in rising order
  // A vector may read beyond its row, into the next one.
  const bool has_next = y + 1 < image.height && image.stride + 3 >= kPairBytes;
  HWY_DYNAMIC_DISPATCH(resize_line)
  (pixel_at(image, y, 0), offsets_.data(), weights_.data(), has_next ? fit.width : pairs_end_,
   fit.width, lines_[i].data());
  line_rows_[i] = y;
  return lines_[i].data();
}

}  // namespace face::cpu
#endif  // HWY_ONCE
