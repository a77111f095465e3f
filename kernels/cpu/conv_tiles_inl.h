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

/// Outputs of `count` pixels from `pixel` on.
template <typename Map, EpilogueKind kKind>
void finish_tiles(const TileBlock& a, int pixel, int count) {
  const int lanes = a.tiles * kTileChannels;
  const int* places = a.places + pixel;
  const PixelSources* sources = a.sources == nullptr ? nullptr : a.sources + pixel;
  for_lanes<kWidth>(0, a.channels, [&]<int kLanes>(int c) FACE_LAMBDA_INLINE {
    const int channel = a.channel_begin + c;
    const Activation<kKind, kLanes> activation(a.epilogue, channel);
    const Vec<kLanes> bias = load<kLanes>(a.epilogue.bias + channel);
    const float* sums = a.sums + c;
    auto* out = elements<Map>(a.output) + a.output_begin + c;
    for (int i = 0; i < count; ++i, sums += lanes) {
      if (places[i] < 0) continue;
      const Vec<kLanes> begin = sources == nullptr ? bias : begin_sum<kLanes>(sources[i], channel);
      Map::template store<kLanes>(out + places[i] * a.output_step,
                                  activation(load<kLanes>(sums) + begin));
    }
  });
}

template <int kPixelTiles, int kChannelTiles>
void tile_group(const TileBlock& a, int pixel, int count) {
  sum_tiles<kPixelTiles, kChannelTiles>(a, pixel);
  with_map<Bf16Words>(a.epilogue.bf16_output, [&]<typename Map>() {
    with_kind(a.epilogue.kind,
              [&]<EpilogueKind kKind>() { finish_tiles<Map, kKind>(a, pixel, count); });
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

inline void tile_input(const TileInput& a) {
  if (a.bf16_input) {
    std::memcpy(a.output, elements<Bf16Map>(a.input) + a.begin, a.count * sizeof(*a.output));
    return;
  }
  const float* input = a.input + a.begin;
  for_lanes<kWidth>(0, a.count, [&]<int kLanes>(int i) FACE_LAMBDA_INLINE {
    Bf16Map::store<kLanes>(a.output + i, load<kLanes>(input + i));
  });
}

}  // namespace face::cpu::FACE_CONV_ISA
