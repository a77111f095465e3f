// SPDX-License-Identifier: MIT
// kernels/cpu/pixel-inl.h - vector code that letterbox.cpp and align.cpp share; compiled once per
// instruction set (Highway's foreach_target), so it has a toggled guard instead of pragma once.
//
// A row of pixels between the steps is "rgbx": four int16 per pixel, the fourth arbitrary.
// SVE is left to NEON: ReorderDemote2To must keep the order of its lanes, which only fixed-width
// vectors promise.
#if defined(FACE_KERNELS_CPU_PIXEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACE_KERNELS_CPU_PIXEL_INL_H_
#undef FACE_KERNELS_CPU_PIXEL_INL_H_
#else
#define FACE_KERNELS_CPU_PIXEL_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/cpu/input_image.h"
#include "kernels/math/pixel.h"

HWY_BEFORE_NAMESPACE();
namespace face::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Where Highway has no vectors at all (HWY_SCALAR), the *_vectors functions do nothing and the
// loops behind them, which finish each row, do the whole of it.
#if HWY_TARGET != HWY_SCALAR

/// Bytes of two neighbouring pixels as int16: r r' g g' b b' 0 0.
alignas(16) constexpr uint8_t kOrder[16] = {0, 128, 3, 128, 1,   128, 4,   128,
                                            2, 128, 5, 128, 128, 128, 128, 128};

using Tag8 = hn::FixedTag<uint8_t, 16>;
using Tag16 = hn::FixedTag<int16_t, 8>;
using Tag32 = hn::FixedTag<int32_t, 4>;

/// The pixel at p and its right neighbour in kOrder; reads kPairBytes.
HWY_INLINE hn::Vec<Tag16> load_pair(const uint8_t* p) {
  const auto bytes = hn::ZeroExtendVector(Tag8(), hn::LoadU(hn::FixedTag<uint8_t, 8>(), p));
  return hn::BitCast(Tag16(), hn::TableLookupBytesOr0(bytes, hn::Load(Tag8(), kOrder)));
}

/// Two int16 weights, four times over; `packed` is low | high << 16.
HWY_INLINE hn::Vec<Tag16> pair_weights(int32_t packed) {
  return hn::BitCast(Tag16(), hn::Set(Tag32(), packed));
}

/// sum + low * low weight + high * high weight, for r, g and b.
HWY_INLINE hn::Vec<Tag32> add_pair(hn::Vec<Tag16> pair, hn::Vec<Tag16> weights,
                                   hn::Vec<Tag32> sum) {
  auto rest = hn::Zero(Tag32());
  sum = hn::ReorderWidenMulAccumulate(Tag32(), pair, weights, sum, rest);
  return hn::RearrangeToOddPlusEven(sum, rest);
}

/// Two pixels of int32 to rgbx.
HWY_INLINE void store_two(hn::Vec<Tag32> first, hn::Vec<Tag32> second, int16_t* rgbx) {
  hn::StoreU(hn::ReorderDemote2To(Tag16(), first, second), Tag16(), rgbx);
}

/// A finished row of rgbx, as the source of write_row().
struct FinishedRow {
  const int16_t* rgbx;

  template <class D>
  HWY_INLINE hn::Vec<D> load(D du, int i) const {
    return hn::LoadU(du, reinterpret_cast<const uint32_t*>(rgbx + i));
  }
  [[nodiscard]] int at(int i) const { return rgbx[i]; }
};

/// The first pixels of write_row(), as many as fill vectors; returns how many.
template <class Source>
HWY_INLINE int write_row_vectors(const Source& source, int width, const Normalisation& n,
                                 const InputImage& out, int y) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::RebindToUnsigned<decltype(df)> du;
  const int lanes = static_cast<int>(hn::Lanes(df));
  const auto mean = hn::Set(df, n.mean), scale = hn::Set(df, n.scale);
  const auto low = hn::Set(du, 0xffffu);
  float* row = out.row(y);
  const size_t channel = out.channel_step();
  int x = 0;
  for (; x + lanes <= width; x += lanes) {
    const auto v0 = source.load(du, 4 * x), v1 = source.load(du, 4 * x + 2 * lanes);
    const auto rb0 = hn::And(v0, low), rb1 = hn::And(v1, low);
    const auto gx0 = hn::ShiftRight<16>(v0), gx1 = hn::ShiftRight<16>(v1);
    const auto as_float = [&](auto bits) HWY_ATTR {
      return hn::Mul(hn::Sub(hn::ConvertTo(df, hn::BitCast(di, bits)), mean), scale);
    };
    const auto r = as_float(hn::ConcatEven(du, rb1, rb0));
    const auto g = as_float(hn::ConcatEven(du, gx1, gx0));
    const auto b = as_float(hn::ConcatOdd(du, rb1, rb0));
    if (out.layout == PixelLayout::kNchw) {
      hn::StoreU(r, df, row + x);
      hn::StoreU(g, df, row + channel + x);
      hn::StoreU(b, df, row + 2 * channel + x);
    } else {
      hn::StoreInterleaved3(r, g, b, df, row + 3 * x);
    }
  }
  return x;
}

#else

struct FinishedRow {
  const int16_t* rgbx;
  [[nodiscard]] int at(int i) const { return rgbx[i]; }
};

template <class Source>
HWY_INLINE int write_row_vectors(const Source&, int, const Normalisation&, const InputImage&, int) {
  return 0;
}

#endif  // HWY_SCALAR

/// Normalises `width` pixels into row y of `out`, from its left edge on. source.at(i) is value i of
/// the row's rgbx; source.load(d, i) a vector of them from i on.
template <class Source>
HWY_INLINE void write_row(const Source& source, int width, const Normalisation& n,
                          const InputImage& out, int y) {
  const int done = write_row_vectors(source, width, n, out, y);
  float* row = out.row(y);
  for (int x = done; x < width; ++x)
    for (int c = 0; c < 3; ++c)
      row[x * out.pixel_step() + c * out.channel_step()] = normalise(source.at(4 * x + c), n);
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
