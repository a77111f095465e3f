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

/// Sums of kPixelTiles tiles of pixels from `pixel` on, to a.sums: [pixel][channel]. Registers 0 to
/// 3 are sums, 4 and 5 windows, 6 and 7 weights.
template <int kPixelTiles, int kChannelTiles>
FACE_INLINE void sum_tiles(const TileBlock& a, int pixel) {
  constexpr int kWindows = 4, kWeights = 6;
  for_each_tile<kPixelTiles * kChannelTiles>([]<int i>()
                                                 FACE_LAMBDA_INLINE { TileUnit::zero<i>(); });
  const uint16_t* windows = a.windows + pixel * a.step;
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

/// Pixels of a block whose places follow one another: [begin, end) of the block, from `place` on.
struct TileRun {
  int begin, end, place;
};

/// The next one from `pixel` on, of the pixels before `end`; empty if there is none.
inline TileRun next_run(const TileBlock& a, int pixel, int end) {
  while (pixel < end && a.places[pixel] < 0) ++pixel;
  TileRun run{pixel, pixel, pixel < end ? a.places[pixel] : 0};
  while (run.end < end && a.places[run.end] == run.place + run.end - run.begin) ++run.end;
  return run;
}

/// Outputs of a run; a.sums begins with `pixel`.
template <typename Map, EpilogueKind kKind>
void finish_run(const TileBlock& a, int pixel, const TileRun& run) {
  const int lanes = a.tiles * kTileChannels, count = run.end - run.begin;
  const float* run_sums = a.sums + static_cast<size_t>(run.begin - pixel) * lanes;
  const size_t begin = a.output_begin + run.place * a.output_step, step = a.output_step;
  const PixelSources* sources = a.sources == nullptr ? nullptr : a.sources + run.begin;
  for_lanes<kWidth>(0, a.channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    const int channel = a.channel_begin + c;
    const Activation<kKind, kLanes> activation(a.epilogue, channel);
    const float* sums = run_sums + c;
    auto* out = elements<Map>(a.output) + begin + c;
    if (sources == nullptr) {
      const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + channel);
      for (int i = 0; i < count; ++i, sums += lanes, out += step)
        Map::template store<kLanes>(out, activation(load<kLanes>(sums) + bias));
      return;
    }
    for (int i = 0; i < count; ++i, sums += lanes, out += step)
      Map::template store<kLanes>(
          out, activation(load<kLanes>(sums) + begin_sum<kLanes>(sources[i], channel)));
  });
}

template <int kPixelTiles, int kChannelTiles>
void tile_group(const TileBlock& a, int pixel, int count) {
  sum_tiles<kPixelTiles, kChannelTiles>(a, pixel);
  with_map<Bf16Words>(a.epilogue.bf16_output, [&]<typename Map>() {
    with_kind(a.epilogue.kind, [&]<EpilogueKind kKind>() {
      const int end = pixel + count;
      for (TileRun run = next_run(a, pixel, end); run.begin < end; run = next_run(a, run.end, end))
        finish_run<Map, kKind>(a, pixel, run);
    });
  });
}

inline void tile_block(const TileBlock& a) {
  using Group = void (*)(const TileBlock&, int pixel, int count);
  static constexpr Group kGroups[2][kMostTiles] = {
      {&tile_group<1, 1>, &tile_group<2, 1>, &tile_group<3, 1>, &tile_group<4, 1>},
      {&tile_group<1, 2>, &tile_group<2, 2>}};
  const int most = kMostTiles / a.tiles;
  for (int pixel = 0; pixel < a.pixels;) {
    const int left = a.pixels - pixel, tiles = (left + kTileRows - 1) / kTileRows;
    const int now = tiles < most ? tiles : most;
    const int count = left < now * kTileRows ? left : now * kTileRows;
    kGroups[a.tiles - 1][now - 1](a, pixel, count);
    pixel += count;
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

inline void zero_behind(const TileInput& a, uint16_t* pixel) {
  const int parts = a.split ? 3 : 1;
  for_lanes<kWidth>(parts * a.channels, a.pitch, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    Bf16Map::store<kLanes>(pixel + c, Vec<kLanes>{});
  });
}

inline void split_pixel(const float* input, int channels, uint16_t* output) {
  for_lanes<kWidth>(0, channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    const Vec<kLanes> x = load<kLanes>(input + c);
    Bf16Map::store<kLanes>(output + c, x);
    const Vec<kLanes> rounded = Bf16Map::load<kLanes>(output + c);
    Bf16Map::store<kLanes>(output + channels + c, x - rounded);
    Bf16Map::store<kLanes>(output + 2 * channels + c, rounded);
  });
}

inline void round_numbers(const float* input, int count, uint16_t* output) {
  for_lanes<kWidth>(0, count, [&]<int kLanes>(int i) FACE_LAMBDA_INLINE {
    Bf16Map::store<kLanes>(output + i, load<kLanes>(input + i));
  });
}

inline void tile_input(const TileInput& a) {
  const bool dense = a.pitch == a.channels && !a.split;
  const int pixels = dense ? 1 : a.pixels, count = dense ? a.pixels * a.channels : a.channels;
  const auto* halves = elements<Bf16Map>(a.input) + a.begin;
  const float* floats = a.input + a.begin;
  uint16_t* output = a.output;
  for (int i = 0; i < pixels; ++i, output += a.pitch) {
    if (a.bf16_input) {
      std::memcpy(output, halves + static_cast<size_t>(i) * count, count * sizeof(*output));
    } else if (a.split) {
      split_pixel(floats + static_cast<size_t>(i) * count, count, output);
    } else {
      round_numbers(floats + static_cast<size_t>(i) * count, count, output);
    }
    if (!dense) zero_behind(a, output);
  }
}

}  // namespace face::cpu::FACE_CONV_ISA
