// SPDX-License-Identifier: MIT
// kernels/cpu/conv_direct_inl.h - direct convolution as products of pixel windows with packed
// weights.
#pragma once

#include "kernels/cpu/conv_epilogue_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_simd.h"
#include "kernels/cpu/conv_words_inl.h"

namespace face::cpu::FACE_CONV_ISA {

/// A slice of the sum for some pixels: kernel rows [row_begin, row_end), words [begin, begin +
/// count) of each row's run.
struct DirectSlice {
  int row_begin, row_end;
  int begin, count;
  bool first, last;  // of the sum
};

/// The outputs of some pixels that a micro-kernel has summed: full vectors, then half a vector.
template <int kPixels, int kFull>
struct DirectSums {
  Vec<kWidth> full[kPixels][kFull] = {};
  Vec<kWidth / 2> half[kPixels] = {};
};

/// Calls f(vector, lane) for each pixel's vectors, lane being the vector's first.
template <int kVectors, bool kHalf, typename F>
FACE_INLINE void for_vectors(const F& f) {
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) f.template operator()<kWidth>(j, j * kWidth);
  if constexpr (kHalf) f.template operator()<kWidth / 2>(kVectors, kVectors * kWidth);
}

template <int kLanes, typename Sums>
FACE_INLINE Vec<kLanes>& vector_of(Sums& sums, int i, int j) {
  if constexpr (kLanes == kWidth) {
    return sums.full[i][j];
  } else {
    return sums.half[i];
  }
}

/// What a sum begins with: bias and addend.
template <int kPixels, int kVectors, bool kHalf, typename Sums>
FACE_INLINE void begin_windows(const DirectBlock& a, int pixel, Sums& sums) {
  for_vectors<kVectors, kHalf>([&]<int kLanes>(int j, int lane) FACE_LAMBDA_INLINE {
    const int channel = a.channel_begin + lane;
    if (a.sources == nullptr) {
      const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + channel);
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i) vector_of<kLanes>(sums, i, j) = bias;
      return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i)
      vector_of<kLanes>(sums, i, j) = begin_sum<kLanes>(a.sources[pixel + i], channel);
  });
}

/// Activation of whole vectors, to the output.
template <typename Map, int kPixels, int kVectors, bool kHalf, typename Sums>
FACE_INLINE void finish_windows(const DirectBlock& a, const Epilogue& epilogue, int pixel,
                                Sums& sums) {
  const size_t channels = a.epilogue.channels;
  auto* out = elements<Map>(a.output) + (a.pixel_begin + pixel) * channels + a.channel_begin;
  with_kind(epilogue.kind, [&]<EpilogueKind kKind>() FACE_LAMBDA_INLINE {
    for_vectors<kVectors, kHalf>([&]<int kLanes>(int j, int lane) FACE_LAMBDA_INLINE {
      const Activation<kKind, kLanes> activation(epilogue, a.channel_begin + lane);
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i)
        Map::template store<kLanes>(out + i * channels + lane,
                                    activation(vector_of<kLanes>(sums, i, j)));
    });
  });
}

/// A slice of windows * weights for kPixels pixels: from the first to the last one sums wait in
/// a.sums, behind the last they become outputs. If lanes of the block have no channel,
/// finish_sums() does that and adds bias and addend.
template <typename Number, int kPixels, int kVectors, bool kHalf>
FACE_INLINE void multiply_windows(const DirectBlock& a, const Epilogue& epilogue,
                                  const DirectSlice& s, int pixel) {
  constexpr int kLanes = kVectors * kWidth + (kHalf ? kWidth / 2 : 0);
  constexpr int kFull = at_least_one(kVectors);
  DirectSums<kPixels, kFull> sum;
  float* waiting = a.sums + static_cast<size_t>(pixel) * kLanes;
  const bool is_full = a.channels == kLanes;
  if (s.first) {
    if (is_full) begin_windows<kPixels, kVectors, kHalf>(a, pixel, sum);
  } else {
    for_vectors<kVectors, kHalf>([&]<int kPart>(int j, int lane) FACE_LAMBDA_INLINE {
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i)
        vector_of<kPart>(sum, i, j) = load<kPart>(waiting + i * kLanes + lane);
    });
  }
  for (int row = s.row_begin; row < s.row_end; ++row) {
    const float* const* windows = a.windows + static_cast<size_t>(row) * a.pixels + pixel;
    const float* window[kPixels];
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) window[i] = windows[i] + s.begin;
    const float* weights = a.weights + (static_cast<size_t>(row) * a.run + s.begin) * kLanes;
#pragma GCC unroll 4  // fewer rounds: their end is foreseen, it seems (docs/cpu_conv.md)
    for (int k = 0; k < s.count; ++k, weights += kLanes) {
      Vec<kWidth> w[kFull];
      Vec<kWidth / 2> half_w{};
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) w[j] = load<kWidth>(weights + j * kWidth);
      if constexpr (kHalf) half_w = load<kWidth / 2>(weights + kVectors * kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i) {
        const Vec<kWidth> x = broadcast<kWidth>(window[i][k]);
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j)
          sum.full[i][j] = Number::template multiply_add<kWidth>(sum.full[i][j], w[j], x);
        if constexpr (kHalf)
          sum.half[i] =
              Number::template multiply_add<kWidth / 2>(sum.half[i], half_w, lower_half<kWidth>(x));
      }
    }
  }
  if (s.last && is_full)
    return with_map<Number>(a.epilogue.bf16_output, [&]<typename Map>() FACE_LAMBDA_INLINE {
      finish_windows<Map, kPixels, kVectors, kHalf>(a, epilogue, pixel, sum);
    });
  for_vectors<kVectors, kHalf>([&]<int kPart>(int j, int lane) FACE_LAMBDA_INLINE {
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i)
      store(waiting + i * kLanes + lane, vector_of<kPart>(sum, i, j));
  });
}

/// `groups` times kPixels pixels. The arguments are copied: for all the compiler knows, stores of
/// outputs might else change them. What sums begin and end with is read from memory, which counts
/// as changed from group to group: kept, it would take the registers of weights.
template <typename Number, int kPixels, int kVectors, bool kHalf>
void multiply_groups(const DirectBlock& block, const DirectSlice& slice, int pixel, int groups) {
  const DirectBlock a = block;
  const DirectSlice s = slice;
  for (; groups > 0; --groups, pixel += kPixels) {
    asm volatile("" ::: "memory");
    multiply_windows<Number, kPixels, kVectors, kHalf>(a, block.epilogue, s, pixel);
  }
}

using MultiplyGroups = void (*)(const DirectBlock&, const DirectSlice&, int pixel, int groups);

/// Most pixels of a micro-kernel: sums in vector registers, window pointers in general ones.
constexpr int max_pixels(int count) {
  if (kWidth <= 8) return count == 1 ? 8 : count == 2 ? 6 : 4;
  return count <= 3 ? 8 : count == 4 ? 6 : 5;
}

template <typename Number, int kVectors, bool kHalf, int kPixels = max_pixels(kVectors + kHalf)>
MultiplyGroups pick_pixels(int pixels) {
  if constexpr (kPixels == 0) {
    return nullptr;
  } else {
    return pixels == kPixels ? &multiply_groups<Number, kPixels, kVectors, kHalf>
                             : pick_pixels<Number, kVectors, kHalf, kPixels - 1>(pixels);
  }
}

template <typename Number, int kVectors, bool kHalf>
void multiply_slice(const DirectBlock& a, const DirectSlice& slice) {
  constexpr int kMost = max_pixels(kVectors + kHalf);
  const int groups = (a.pixels + kMost - 1) / kMost;
  const int size = a.pixels / groups, larger = a.pixels % groups;
  if (larger > 0) pick_pixels<Number, kVectors, kHalf>(size + 1)(a, slice, 0, larger);
  pick_pixels<Number, kVectors, kHalf>(size)(a, slice, larger * (size + 1), groups - larger);
}

/// The whole sum, in slices whose weights stay in the second-level cache while all pixels pass.
template <typename Number, int kVectors, bool kHalf>
void multiply_block(const DirectBlock& a) {
  constexpr int kLanes = kVectors * kWidth + (kHalf ? kWidth / 2 : 0);
  constexpr int kMostSteps = 65536 / kLanes;  // 256 KiB of weights
  if (a.rows * a.run <= kMostSteps)
    return multiply_slice<Number, kVectors, kHalf>(a, {0, a.rows, 0, a.run, true, true});
  for (int row = 0; row < a.rows; ++row) {
    for (int begin = 0; begin < a.run; begin += kMostSteps) {
      const int left = a.run - begin;
      const int count = left < kMostSteps ? left : kMostSteps;
      const bool first = row == 0 && begin == 0, last = row + 1 == a.rows && count == left;
      multiply_slice<Number, kVectors, kHalf>(a, {row, row + 1, begin, count, first, last});
    }
  }
}

template <typename Number>
void multiply_direct(const DirectBlock& a) {
  if constexpr (kWidth == 16) {
    switch (2 * a.vectors + (a.half ? 1 : 0)) {
      case 1:
        return multiply_block<Number, 0, true>(a);
      case 3:
        return multiply_block<Number, 1, true>(a);
      case 5:
        return multiply_block<Number, 2, true>(a);
      case 7:
        return multiply_block<Number, 3, true>(a);
      case 8:
        return multiply_block<Number, 4, false>(a);
      default:
        break;
    }
  }
  switch (a.vectors) {
    case 1:
      return multiply_block<Number, 1, false>(a);
    case 2:
      return multiply_block<Number, 2, false>(a);
    default:
      return multiply_block<Number, 3, false>(a);
  }
}

/// Outputs of a block of which some lanes have no channel.
template <typename Map, EpilogueKind kKind>
void finish_sums(const DirectBlock& a) {
  for (int i = 0; i < a.pixels; ++i) {
    const float* sums = a.sums + static_cast<size_t>(i) * a.lanes;
    const PixelSources sources =
        a.sources == nullptr ? PixelSources{a.epilogue.bias, nullptr} : a.sources[i];
    auto* out =
        elements<Map>(a.output) + (a.pixel_begin + i) * a.epilogue.channels + a.channel_begin;
    for_lanes<kWidth>(0, a.channels, [&]<int kLanes>(int c) {
      Map::template store<kLanes>(out + c, finish<kKind, kLanes>(load<kLanes>(sums + c), a.epilogue,
                                                                 sources, a.channel_begin + c));
    });
  }
}

template <typename Number>
void direct_block(const DirectBlock& a) {
  multiply_direct<Number>(a);
  if (a.channels == a.lanes) return;
  with_map<Number>(a.epilogue.bf16_output, [&]<typename Map>() {
    with_kind(a.epilogue.kind, [&]<EpilogueKind kKind>() { finish_sums<Map, kKind>(a); });
  });
}

template <typename Number>
void direct_words(const DirectWords& a) {
  const int words = (a.run + Number::kChannels - 1) / Number::kChannels;
  for (int i = 0; i < a.count; ++i) {
    const float* run = a.runs[i];
    float* out = a.words + static_cast<size_t>(i) * words;
    for_lanes<kWidth>(0, a.run, [&]<int kLanes>(int c) {
      Number::template store<kLanes>(out + c / Number::kChannels, load<kLanes>(run + c));
    });
    a.runs[i] = out;
  }
}

template <typename Number>
constexpr DirectKernels direct_kernels() {
  return {&direct_words<Number>, &sources_of_pixels, &direct_block<Number>};
}

}  // namespace face::cpu::FACE_CONV_ISA
