// SPDX-License-Identifier: MIT
// kernels/cpu/conv_tiles_inl.h - direct convolution on a matrix unit: tiles of neighbouring pixels'
// windows with tiles of packed weights.
#pragma once

#include <cstring>
#include <utility>

#include "kernels/cpu/conv_bf16_inl.h"
#include "kernels/cpu/conv_epilogue_inl.h"
#include "kernels/cpu/conv_tile_plan.h"
#include "kernels/cpu/conv_tile_unit_inl.h"

namespace face::cpu::FACE_CONV_ISA {

/// Calls f.template operator()<i>() for each i in [0, kCount).
template <int kCount, typename F>
FACE_INLINE void for_each_tile(const F& f) {
  [&]<size_t... i>(std::index_sequence<i...>) FACE_LAMBDA_INLINE {
    (f.template operator()<static_cast<int>(i)>(), ...);
  }
  (std::make_index_sequence<kCount>());
}

/// Sums of kPixelTiles tiles of windows from `window` on, to a.sums: [window][channel]. Registers 0
/// to 3 are sums, 4 and 5 windows, 6 and 7 weights.
template <int kPixelTiles, int kChannelTiles>
FACE_INLINE void sum_tiles(const TileBlock& a, int window) {
  constexpr int kWindows = 4, kWeights = 6;
  for_each_tile<kPixelTiles * kChannelTiles>([]<int i>()
                                                 FACE_LAMBDA_INLINE { TileUnit::zero<i>(); });
  const uint16_t* windows = a.windows + window * a.step;
  const size_t row_bytes = a.step * sizeof(*windows);
  const size_t tile_step = kTileRows * a.step;
  const float* weights = a.weights;
  const size_t next_tile = static_cast<size_t>(a.chunks) * kTileWords;
  for (int chunk = 0; chunk < a.chunks; ++chunk, weights += kTileWords) {
    const uint16_t* from = windows + a.depth[chunk];
    for_each_tile<kChannelTiles>([&]<int j>() FACE_LAMBDA_INLINE {
      TileUnit::load<kWeights + j>(weights + j * next_tile, kTileRowBytes);
    });
    for_each_tile<kPixelTiles>([&]<int i>() FACE_LAMBDA_INLINE {
      TileUnit::load<kWindows + i % 2>(from + i * tile_step, row_bytes);
      for_each_tile<kChannelTiles>([&]<int j>() FACE_LAMBDA_INLINE {
        TileUnit::multiply_add<i * kChannelTiles + j, kWindows + i % 2, kWeights + j>();
      });
    });
  }
  constexpr int kLanes = kChannelTiles * kTileChannels;
  for_each_tile<kPixelTiles>([&]<int i>() FACE_LAMBDA_INLINE {
    for_each_tile<kChannelTiles>([&]<int j>() FACE_LAMBDA_INLINE {
      TileUnit::store<i * kChannelTiles + j>(a.sums + i * kTileRows * kLanes + j * kTileChannels,
                                             kLanes * sizeof(float));
    });
  });
}

/// Windows [begin, end) whose places follow one another, from `place` on.
struct TileRun {
  int begin, end, place;
};

/// The next one from `window` on, of the windows before `end`; begins at `end` if there is none.
inline TileRun next_run(const TileBlock& a, int window, int end) {
  while (window < end) {
    const int row = window / a.row_windows, x = window % a.row_windows;
    const int row_end = row * a.row_windows + a.row_pixels;
    if (x < a.row_pixels && a.places[row] >= 0)
      return {window, row_end < end ? row_end : end, a.places[row] + x};
    window = (row + 1) * a.row_windows;
  }
  return {end, end, 0};
}

/// Calls f.template operator()<lanes>(i) so that [0, count) is covered, by whole vectors if there
/// is room for one: the last one then covers some once more.
template <int kLanes, typename F>
FACE_INLINE void for_overlapping(int count, const F& f) {
  if (count < kLanes) {
    if constexpr (kLanes > 1) for_overlapping<kLanes / 2>(count, f);
    return;
  }
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) f.template operator()<kLanes>(i);
  if (i < count) f.template operator()<kLanes>(count - kLanes);
}

/// What ends in the outputs of some channels of a run.
struct RunChannels {
  const float* sums;            // of the first pixel, `lanes` numbers apart
  int lanes, count;             // pixels
  int channel;                  // the first one
  const PixelSources* sources;  // null: the bias alone
  size_t out;                   // numbers of the output up to there
};

/// begin_sum() of an addend that lies as AddendMap.
template <typename AddendMap, int kLanes>
FACE_INLINE Vec<kLanes> begin_tile_sum(const PixelSources& s, int channel) {
  const Vec<kLanes> bias = load<kLanes>(s.bias + channel);
  if (s.addend == nullptr) return bias;
  return bias + AddendMap::template load<kLanes>(elements<AddendMap>(s.addend) + channel);
}

/// kVectors vectors of channels from r.channel + `offset(j)` on; all of a pixel are read before one
/// is written, for the addend may be the output.
template <typename AddendMap, typename Map, EpilogueKind kKind, int kLanes, int kVectors,
          typename Offset>
FACE_INLINE void finish_channels(const TileBlock& a, const RunChannels& r, const Offset& offset) {
  using Vector = Vec<kLanes>;
  Activation<kKind, kLanes> activation[kVectors];
  const float* sums = r.sums;
  auto* out = elements<Map>(a.output) + r.out;
  const size_t step = a.output_step;
  Vector bias[kVectors];
  for (int j = 0; j < kVectors; ++j) {
    activation[j] = {a.epilogue, r.channel + offset(j)};
    bias[j] = load<kLanes>(a.epilogue.bias + r.channel + offset(j));
  }
  for (int i = 0; i < r.count; ++i, sums += r.lanes, out += step) {
    Vector x[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      const Vector begin = r.sources == nullptr ? bias[j]
                                                : begin_tile_sum<AddendMap, kLanes>(
                                                      r.sources[i], r.channel + offset(j));
      x[j] = activation[j](load<kLanes>(sums + offset(j)) + begin);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Map::template store<kLanes>(out + offset(j), x[j]);
  }
}

/// Outputs of a run; a.sums begins with `window`.
template <typename AddendMap, typename Map, EpilogueKind kKind, int kTiles>
void finish_run(const TileBlock& a, int window, const TileRun& run) {
  constexpr int kLanes = kTiles * kTileChannels, kVectors = kLanes / kWidth;
  RunChannels r{a.sums + static_cast<size_t>(run.begin - window) * kLanes,
                kLanes,
                run.end - run.begin,
                a.channel_begin,
                a.sources == nullptr ? nullptr : a.sources + run.begin,
                a.output_begin + run.place * a.output_step};
  if (a.channels >= kWidth) {
    const int last = a.channels - kWidth;
    return finish_channels<AddendMap, Map, kKind, kWidth, kVectors>(
        a, r, [last](int j) FACE_LAMBDA_INLINE { return j * kWidth < last ? j * kWidth : last; });
  }
  const RunChannels all = r;
  for_lanes<kWidth>(0, a.channels, [&]<int kPart>(int c) FACE_LAMBDA_INLINE {
    r.sums = all.sums + c;
    r.channel = all.channel + c;
    r.out = all.out + c;
    finish_channels<AddendMap, Map, kKind, kPart, 1>(a, r,
                                                     [](int) FACE_LAMBDA_INLINE { return 0; });
  });
}

template <typename AddendMap, typename Map, EpilogueKind kKind, int kTiles>
void finish_group(const TileBlock& a, int window, int count) {
  const int end = window + count;
  for (TileRun run = next_run(a, window, end); run.begin < end; run = next_run(a, run.end, end))
    finish_run<AddendMap, Map, kKind, kTiles>(a, window, run);
}

/// `count` windows from `window` on.
template <int kPixelTiles, int kChannelTiles>
void tile_group(const TileBlock& a, int window, int count) {
  sum_tiles<kPixelTiles, kChannelTiles>(a, window);
  with_map<Bf16Words>(a.epilogue.bf16_output, [&]<typename Map>() {
    with_map<Bf16Words>(a.epilogue.bf16_addend, [&]<typename AddendMap>() {
      with_kind(a.epilogue.kind, [&]<EpilogueKind kKind>() {
        finish_group<AddendMap, Map, kKind, kChannelTiles>(a, window, count);
      });
    });
  });
}

inline void tile_block(const TileBlock& a) {
  using Group = void (*)(const TileBlock&, int window, int count);
  static constexpr Group kGroups[2][kMostTiles] = {
      {&tile_group<1, 1>, &tile_group<2, 1>, &tile_group<3, 1>, &tile_group<4, 1>},
      {&tile_group<1, 2>, &tile_group<2, 2>}};
  const int most = kMostTiles / a.tiles, end = a.begin + a.count;
  for (int window = a.begin; window < end;) {
    const int left = end - window, tiles = (left + kTileRows - 1) / kTileRows;
    const int now = tiles < most ? tiles : most;
    const int count = left < now * kTileRows ? left : now * kTileRows;
    kGroups[a.tiles - 1][now - 1](a, window, count);
    window += count;
  }
}

template <typename Map>
void pool_row(const TilePool& a) {
  const size_t below = static_cast<size_t>(a.row) * a.lanes;
  auto* out = elements<Map>(a.output) + a.output_begin;
  for (int x = 0; x < a.width; x += 2, out += a.output_step) {
    const float* first = a.map + static_cast<size_t>(x) * a.lanes;
    for_lanes<kWidth>(0, a.channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
      const auto at = [&](size_t offset)
                          FACE_LAMBDA_INLINE { return load<kLanes>(first + offset + c); };
      const Vec<kLanes> upper = larger<Vec<kLanes>>(at(0), at(a.lanes));
      const Vec<kLanes> lower = larger<Vec<kLanes>>(at(below), at(below + a.lanes));
      Map::template store<kLanes>(out + c, larger<Vec<kLanes>>(upper, lower));
    });
  }
}

inline void tile_pool(const TilePool& a) {
  with_map<Bf16Words>(a.bf16_output, [&]<typename Map>() { pool_row<Map>(a); });
}

inline void split_numbers(const float* input, int count, uint16_t* output, uint16_t* rest) {
  for_overlapping<kWidth>(count, [&]<int kLanes>(int i) FACE_LAMBDA_INLINE {
    const Vec<kLanes> x = load<kLanes>(input + i);
    Bf16Map::store<kLanes>(output + i, x);
    Bf16Map::store<kLanes>(rest + i, x - Bf16Map::load<kLanes>(output + i));
  });
}

inline void round_numbers(const float* input, int count, uint16_t* output) {
  for_overlapping<kWidth>(count, [&]<int kLanes>(int i) FACE_LAMBDA_INLINE {
    Bf16Map::store<kLanes>(output + i, load<kLanes>(input + i));
  });
}

/// Two numbers to a float's place.
inline void copy_numbers(const uint16_t* input, int count, uint16_t* output) {
  const auto* from = reinterpret_cast<const float*>(input);
  auto* to = reinterpret_cast<float*>(output);
  for_overlapping<kWidth>(count / 2, [&]<int kLanes>(int i) FACE_LAMBDA_INLINE {
    __builtin_memcpy(to + i, from + i, kLanes * sizeof(float));
  });
}

inline void tile_input(const TileInput& a) {
  const bool dense = a.pitch == a.channels;
  const int pixels = dense ? 1 : a.pixels, count = dense ? a.pixels * a.channels : a.channels;
  const int step = dense ? count : a.pitch;
  for (int i = 0; i < pixels; ++i) {
    const size_t from = a.begin + static_cast<size_t>(i) * count;
    uint16_t* const output = a.output + static_cast<size_t>(i) * step;
    for (int c = count; c < step; ++c) output[c] = 0;
    if (a.bf16_input) {
      copy_numbers(elements<Bf16Map>(a.input) + from, count, output);
    } else if (a.rest == nullptr) {
      round_numbers(a.input + from, count, output);
    } else {
      uint16_t* const rest = a.rest + static_cast<size_t>(i) * step;
      for (int c = count; c < step; ++c) rest[c] = 0;
      split_numbers(a.input + from, count, output, rest);
    }
  }
}

}  // namespace face::cpu::FACE_CONV_ISA
