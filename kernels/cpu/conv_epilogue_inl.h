// SPDX-License-Identifier: MIT
// kernels/cpu/conv_epilogue_inl.h - bias, addend and activation on a vector of output channels.
#pragma once

#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_simd.h"

namespace face::cpu::FACE_CONV_ISA {

/// Pixel (y, x) of image `image`.
FACE_INLINE PixelSources pixel_sources(const Epilogue& e, int image, int y, int x) {
  PixelSources s{e.bias, nullptr};
  if (e.bias_stride != 0) s.bias += (3 * e.row_class[y] + e.col_class[x]) * e.bias_stride;
  if (e.addend == nullptr) return s;
  const int shift = e.addend_upsampled ? 1 : 0;
  const size_t height = e.height >> shift, width = e.width >> shift;
  s.addend = e.addend + ((image * height + (y >> shift)) * width + (x >> shift)) * e.channels;
  return s;
}

/// True if every pixel has the same bias and none an addend.
FACE_INLINE bool uniform(const Epilogue& e) { return e.bias_stride == 0 && e.addend == nullptr; }

template <EpilogueKind kKind, int kLanes>
FACE_INLINE Vec<kLanes> activate(Vec<kLanes> x, const Epilogue& e, int channel) {
  const Vec<kLanes> zero{};
  if constexpr (kKind == EpilogueKind::kPrelu) {
    return x < zero ? x * load<kLanes>(e.slopes + channel) : x;
  } else {
    return at_most<Vec<kLanes>>(at_least<Vec<kLanes>>(x, zero + e.low), zero + e.high);
  }
}

/// Channels [channel, channel + kLanes) of one pixel.
template <EpilogueKind kKind, int kLanes>
FACE_INLINE Vec<kLanes> finish(Vec<kLanes> x, const Epilogue& e, const PixelSources& s,
                               int channel) {
  x += load<kLanes>(s.bias + channel);
  if (s.addend != nullptr) x += load<kLanes>(s.addend + channel);
  return activate<kKind, kLanes>(x, e, channel);
}

/// Calls f.template operator()<kind>() with the epilogue's kind as a constant.
template <typename F>
FACE_INLINE void with_kind(EpilogueKind kind, const F& f) {
  if (kind == EpilogueKind::kPrelu) return f.template operator()<EpilogueKind::kPrelu>();
  return f.template operator()<EpilogueKind::kClip>();
}

}  // namespace face::cpu::FACE_CONV_ISA
