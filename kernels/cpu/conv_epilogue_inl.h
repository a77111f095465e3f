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
  s.addend = e.addend + ((image * height + (y >> shift)) * width + (x >> shift)) * e.addend_pixel;
  return s;
}

/// True if every pixel has the same bias and none an addend.
FACE_INLINE bool uniform(const Epilogue& e) { return e.bias_stride == 0 && e.addend == nullptr; }

/// Those of `pixels` output pixels of a stack of images, from pixel_begin on, into `sources`, which
/// is returned; null if the epilogue is uniform.
inline const PixelSources* sources_of_pixels(const Epilogue& e, size_t pixel_begin, int pixels,
                                             PixelSources* sources) {
  if (uniform(e)) return nullptr;
  const size_t size = static_cast<size_t>(e.height) * e.width;
  int image = static_cast<int>(pixel_begin / size);
  int y = static_cast<int>(pixel_begin % size) / e.width;
  int x = static_cast<int>(pixel_begin % size) % e.width;
  for (int i = 0; i < pixels; ++i) {
    sources[i] = pixel_sources(e, image, y, x);
    if (++x < e.width) continue;
    x = 0;
    if (++y < e.height) continue;
    y = 0;
    ++image;
  }
  return sources;
}

/// What follows a sum of channels [channel, channel + kLanes): read once, so that stores of
/// outputs, which might be the epilogue's numbers for all the compiler knows, do not make it read
/// them again.
template <EpilogueKind kKind, int kLanes>
class Activation {
 public:
  Activation() = default;
  FACE_INLINE Activation(const Epilogue& e, int channel) {
    if constexpr (kKind == EpilogueKind::kPrelu) {
      first_ = load<kLanes>(e.slopes + channel);
    } else {
      const Vec<kLanes> zero{};
      first_ = zero + e.low;
      second_ = zero + e.high;
    }
  }
  FACE_INLINE Vec<kLanes> operator()(Vec<kLanes> x) const {
    if constexpr (kKind == EpilogueKind::kPrelu) {
      return is_negative<kLanes>(x) ? x * first_ : x;
    } else {
      return at_most<Vec<kLanes>>(at_least<Vec<kLanes>>(x, first_), second_);
    }
  }

 private:
  Vec<kLanes> first_{};   // slopes, or the least value
  Vec<kLanes> second_{};  // the largest value
};

/// Bias and addend of channels [channel, channel + kLanes) of one pixel.
template <int kLanes>
FACE_INLINE Vec<kLanes> begin_sum(const PixelSources& s, int channel) {
  const Vec<kLanes> bias = load<kLanes>(s.bias + channel);
  return s.addend == nullptr ? bias : bias + load<kLanes>(s.addend + channel);
}

/// Channels [channel, channel + kLanes) of one pixel.
template <EpilogueKind kKind, int kLanes>
FACE_INLINE Vec<kLanes> finish(Vec<kLanes> x, const Epilogue& e, const PixelSources& s,
                               int channel) {
  return Activation<kKind, kLanes>(e, channel)(x + begin_sum<kLanes>(s, channel));
}

/// Calls f.template operator()<kind>() with the epilogue's kind as a constant.
template <typename F>
FACE_INLINE void with_kind(EpilogueKind kind, const F& f) {
  if (kind == EpilogueKind::kPrelu) return f.template operator()<EpilogueKind::kPrelu>();
  return f.template operator()<EpilogueKind::kClip>();
}

}  // namespace face::cpu::FACE_CONV_ISA
