// SPDX-License-Identifier: MIT
// kernels/cpu/conv_winograd_inl.h - Winograd F(kMy x kMx, 3x3): input transform, the products of
// all points, inverse transform with epilogue. Lavin & Gray 2015, arXiv:1509.09308; weights are
// transformed in conv_winograd.cpp.
#pragma once

#include "kernels/cpu/conv_epilogue_inl.h"
#include "kernels/cpu/conv_pixels_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_simd.h"
#include "kernels/cpu/conv_winograd_transforms_inl.h"
#include "kernels/cpu/conv_words_inl.h"

namespace face::cpu::FACE_CONV_ISA {

// ---- input

template <typename Number, typename Map, int kMy, int kMx, int kLanes, typename Pixels>
FACE_INLINE void transform_lanes(const Pixels& pixels, int channel, float* v, size_t point_stride) {
  constexpr int kNy = kMy + 2, kNx = kMx + 2;
  Vec<kLanes> columns[kNy][kNx];
#pragma GCC unroll 8
  for (int j = 0; j < kNx; ++j) {
    Vec<kLanes> d[kNy], t[kNy];
#pragma GCC unroll 8
    for (int i = 0; i < kNy; ++i) d[i] = Map::template load<kLanes>(pixels.at(i, j) + channel);
    input_transform<kMy>(d, t);
#pragma GCC unroll 8
    for (int i = 0; i < kNy; ++i) columns[i][j] = t[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kNy; ++i) {
    Vec<kLanes> t[kNx];
    input_transform<kMx>(columns[i], t);
#pragma GCC unroll 8
    for (int j = 0; j < kNx; ++j)
      Number::template store<kLanes>(v + (i * kNx + j) * point_stride, t[j]);
  }
}

template <typename Number, typename Map, int kMy, int kMx, typename Pixels>
void transform_tile(const Pixels& pixels, const WinogradInput& a, float* v) {
  constexpr int kBlock = kWinogradDepthBlock * Number::kChannels;
  const size_t block_stride = static_cast<size_t>(a.tile_capacity) * kWinogradDepthBlock;
  for_lanes<kWidth>(a.channel_begin, a.channel_end, [&]<int kLanes>(int c) {
    float* out = v + c / kBlock * block_stride + c % kBlock / Number::kChannels;
    transform_lanes<Number, Map, kMy, kMx, kLanes>(pixels, c, out, a.point_stride);
  });
}

/// Asks for the pixels under the tile whose inner window begins at `origin`: the columns that its
/// left neighbour does not share.
template <int kMy, int kMx, typename Element>
FACE_INLINE void prefetch_tile(const Element* origin, size_t row, size_t pixel) {
  constexpr size_t kLine = 64 / sizeof(Element);
  const size_t begin = 2 * pixel, end = (kMx + 2) * pixel;
  for (int i = 0; i < kMy + 2; ++i) {
    for (size_t k = begin; k < end; k += kLine) __builtin_prefetch(origin + i * row + k);
  }
}

template <typename Number, typename Map, int kMy, int kMx>
void transform_tiles(const WinogradInput& a) {
  const auto* zeros = elements<Map>(a.zeros);
  const size_t row = static_cast<size_t>(a.width) * a.channels;
  for (int tile = a.tile_begin; tile < a.tile_end; ++tile) {
    const int image = tile / a.tiles_per_image, in_image = tile % a.tiles_per_image;
    const int y0 = in_image / a.tiles_x * kMy - 1, x0 = in_image % a.tiles_x * kMx - 1;
    const auto* pixels = elements<Map>(a.input) + image * row * a.height;
    float* v = a.v + static_cast<size_t>(tile - a.tile_origin) * kWinogradDepthBlock;
    if (y0 >= 0 && x0 >= 0 && y0 + kMy + 2 <= a.height && x0 + kMx + 2 <= a.width) {
      const size_t pixel = a.channels;
      const auto* origin = pixels + y0 * row + x0 * pixel;
      prefetch_tile<kMy, kMx>(origin + 2 * kMx * pixel, row, pixel);
      transform_tile<Number, Map, kMy, kMx>(InnerPixels<typename Map::Element>{origin, row, pixel},
                                            a, v);
    } else {
      const auto border =
          border_pixels<kMy + 2, kMx + 2>(pixels, zeros, a.height, a.width, a.channels, y0, x0);
      transform_tile<Number, Map, kMy, kMx>(border, a, v);
    }
  }
}

template <typename Number, int kMy, int kMx>
void winograd_input(const WinogradInput& a) {
  with_map<Number>(a.bf16_input,
                   [&]<typename Map>() { transform_tiles<Number, Map, kMy, kMx>(a); });
}

// ---- products

/// Floats of the weights to come that a micro-kernel asks for in four steps of depth.
constexpr int kPrefetchPer4 = 32;

/// kTiles tiles by kVectors vectors (and half a vector more with kHalf) of output channels. Asks
/// for `depth` / 4 times kPrefetchPer4 floats from `next` on, so that weights stream in meanwhile.
template <typename Number, int kTiles, int kVectors, bool kHalf>
void multiply(const float* v, size_t block_stride, int depth, const float* u, float* m,
              const float* next) {
  constexpr int kLanes = kVectors * kWidth + (kHalf ? kWidth / 2 : 0);
  constexpr int kFull = at_least_one(kVectors);
  Vec<kWidth> sum[kTiles][kFull] = {};
  Vec<kWidth / 2> half_sum[kTiles] = {};
  const auto step = [&](const float* x, const float* weights) FACE_LAMBDA_INLINE {
    Vec<kWidth> w[kFull];
    Vec<kWidth / 2> half_w{};
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) w[j] = load<kWidth>(weights + j * kWidth);
    if constexpr (kHalf) half_w = load<kWidth / 2>(weights + kVectors * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < kTiles; ++i) {
      const Vec<kWidth> factor = broadcast<kWidth>(x[i * kWinogradDepthBlock]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j)
        sum[i][j] = Number::template multiply_add<kWidth>(sum[i][j], w[j], factor);
      if constexpr (kHalf)
        half_sum[i] = Number::template multiply_add<kWidth / 2>(half_sum[i], half_w,
                                                                lower_half<kWidth>(factor));
    }
  };
  for (; depth > 0; depth -= kWinogradDepthBlock, v += block_stride) {
    const int count = depth < kWinogradDepthBlock ? depth : kWinogradDepthBlock;
    int k = 0;
    for (; k + 4 <= count; k += 4, u += 4 * kLanes, next += kPrefetchPer4) {
      __builtin_prefetch(next, 0, 2);
      __builtin_prefetch(next + kPrefetchPer4 / 2, 0, 2);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) step(v + k + i, u + i * kLanes);
    }
    for (; k < count; ++k, u += kLanes) step(v + k, u);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kTiles; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) store(m + i * kLanes + j * kWidth, sum[i][j]);
    if constexpr (kHalf) store(m + i * kLanes + kVectors * kWidth, half_sum[i]);
  }
}

using Multiply = void (*)(const float*, size_t, int, const float*, float*, const float*);

/// Most tiles whose sums stay in registers beside kCount weight vectors: 16 registers for up to 8
/// lanes, 32 beyond.
constexpr int max_tiles(int count) {
  if (kWidth <= 8) return count == 1 ? 12 : count == 2 ? 6 : 4;
  return count <= 2 ? 14 : count == 3 ? 9 : count == 4 ? 6 : 5;
}

template <typename Number, int kVectors, bool kHalf, int kTiles = max_tiles(kVectors + kHalf)>
Multiply pick_tiles(int tiles) {
  if constexpr (kTiles == 0) {
    return nullptr;
  } else {
    return tiles == kTiles ? &multiply<Number, kTiles, kVectors, kHalf>
                           : pick_tiles<Number, kVectors, kHalf, kTiles - 1>(tiles);
  }
}

/// All points of one block of output channels; tiles in groups of nearly the same size.
template <typename Number, int kPoints, int kVectors, bool kHalf>
void multiply_points(const WinogradGemm& a) {
  constexpr int kLanes = kVectors * kWidth + (kHalf ? kWidth / 2 : 0);
  constexpr int kMost = max_tiles(kVectors + kHalf);
  const int groups = (a.tiles + kMost - 1) / kMost;
  const int size = a.tiles / groups, larger = a.tiles % groups;
  const Multiply small = pick_tiles<Number, kVectors, kHalf>(size);
  const Multiply large = larger > 0 ? pick_tiles<Number, kVectors, kHalf>(size + 1) : small;
  const size_t block_stride = static_cast<size_t>(a.tile_capacity) * kWinogradDepthBlock;
  const size_t u_floats = static_cast<size_t>(a.depth) * kLanes;
  const size_t prefetched = static_cast<size_t>(a.depth / 4) * kPrefetchPer4;  // by one group
  const float* u = a.u;
  for (int point = 0; point < kPoints; ++point, u += u_floats) {
    const float* v = a.v + point * a.v_point_stride;
    float* m = a.m + point * a.m_point_stride;
    for (int group = 0; group < groups; ++group) {
      const int tiles = size + (group < larger ? 1 : 0);
      const size_t ahead = group * prefetched < u_floats ? u_floats + group * prefetched : 0;
      (group < larger ? large : small)(v, block_stride, a.depth, u, m, u + ahead);
      v += static_cast<size_t>(tiles) * kWinogradDepthBlock;
      m += static_cast<size_t>(tiles) * kLanes;
    }
  }
}

template <typename Number, int kPoints>
void winograd_gemm(const WinogradGemm& a) {
  if constexpr (kWidth == 16) {
    switch (2 * a.vectors + (a.half ? 1 : 0)) {
      case 1:
        return multiply_points<Number, kPoints, 0, true>(a);
      case 3:
        return multiply_points<Number, kPoints, 1, true>(a);
      case 5:
        return multiply_points<Number, kPoints, 2, true>(a);
      case 7:
        return multiply_points<Number, kPoints, 3, true>(a);
      case 8:
        return multiply_points<Number, kPoints, 4, false>(a);
      default:
        break;
    }
  }
  switch (a.vectors) {
    case 1:
      return multiply_points<Number, kPoints, 1, false>(a);
    case 2:
      return multiply_points<Number, kPoints, 2, false>(a);
    default:
      return multiply_points<Number, kPoints, 3, false>(a);
  }
}

// ---- output

template <int kMy, int kMx, int kLanes>
FACE_INLINE void inverse_transform(const float* m, size_t point_stride,
                                   Vec<kLanes> (*rows)[kMx + 2]) {
  constexpr int kNy = kMy + 2, kNx = kMx + 2;
#pragma GCC unroll 8
  for (int j = 0; j < kNx; ++j) {
    Vec<kLanes> d[kNy], t[kMy];
#pragma GCC unroll 8
    for (int i = 0; i < kNy; ++i) d[i] = load<kLanes>(m + (i * kNx + j) * point_stride);
    output_transform<kMy>(d, t);
#pragma GCC unroll 6
    for (int i = 0; i < kMy; ++i) rows[i][j] = t[i];
  }
}

/// The part of one tile that lies inside the image, and what is added to its outputs.
template <int kMy, int kMx>
struct OutputTile {
  int image, y, x;
  int height, width;
  bool is_uniform;                 // every pixel has the epilogue's bias alone
  PixelSources sources[kMy][kMx];  // otherwise
};

template <int kMy, int kMx>
FACE_INLINE void find_sources(const Epilogue& e, OutputTile<kMy, kMx>& tile) {
  tile.is_uniform = uniform(e);
  if (tile.is_uniform) return;
  for (int i = 0; i < tile.height; ++i) {
    for (int j = 0; j < tile.width; ++j)
      tile.sources[i][j] = pixel_sources(e, tile.image, tile.y + i, tile.x + j);
  }
}

/// Bias, addend and activation of one vector of channels of a tile.
template <int kMy, int kMx, EpilogueKind kKind, int kLanes>
class TileFinish {
 public:
  FACE_INLINE TileFinish(const Epilogue& e, const OutputTile<kMy, kMx>& tile, int channel)
      : tile_(tile), channel_(channel), activation_(e, channel) {
    if (tile.is_uniform) bias_ = load<kLanes>(e.bias + channel);
  }
  FACE_INLINE Vec<kLanes> operator()(int i, int j, Vec<kLanes> x) const {
    if (tile_.is_uniform) return activation_(x + bias_);
    return activation_(x + begin_sum<kLanes>(tile_.sources[i][j], channel_));
  }

 private:
  const OutputTile<kMy, kMx>& tile_;
  int channel_;
  Activation<kKind, kLanes> activation_;
  Vec<kLanes> bias_{};
};

template <typename Map, int kMy, int kMx, EpilogueKind kKind, int kLanes>
FACE_INLINE void output_lanes(const Epilogue& e, const OutputTile<kMy, kMx>& tile, float* output,
                              Vec<kLanes> (&rows)[kMy][kMx + 2], int channel) {
  const TileFinish<kMy, kMx, kKind, kLanes> finish(e, tile, channel);
  const size_t pixel = e.channels, row = e.width * pixel;
  auto* out = elements<Map>(output) + (static_cast<size_t>(tile.image) * e.height + tile.y) * row +
              tile.x * pixel + channel;
  for (int i = 0; i < tile.height; ++i, out += row) {
    Vec<kLanes> pixels[kMx];
    output_transform<kMx>(rows[i], pixels);
#pragma GCC unroll 6
    for (int j = 0; j < kMx; ++j) {
      if (j >= tile.width) break;
      Map::template store<kLanes>(out + j * pixel, finish(i, j, pixels[j]));
    }
  }
}

/// As output_lanes(), of maps that are pooled: height and width of the tile are even.
template <typename Map, int kMy, int kMx, EpilogueKind kKind, int kLanes>
FACE_INLINE void pooled_lanes(const Epilogue& e, const OutputTile<kMy, kMx>& tile, float* output,
                              Vec<kLanes> (&rows)[kMy][kMx + 2], int channel) {
  const TileFinish<kMy, kMx, kKind, kLanes> finish(e, tile, channel);
  const size_t pixel = e.channels, row = e.width / 2 * pixel;
  auto* out = elements<Map>(output) +
              (static_cast<size_t>(tile.image) * (e.height / 2) + tile.y / 2) * row +
              tile.x / 2 * pixel + channel;
  for (int i = 0; i < tile.height; i += 2, out += row) {
    Vec<kLanes> upper[kMx], lower[kMx];
    output_transform<kMx>(rows[i], upper);
    output_transform<kMx>(rows[i + 1], lower);
#pragma GCC unroll 3
    for (int j = 0; j < kMx; j += 2) {
      if (j >= tile.width) break;
      Vec<kLanes> most{};
#pragma GCC unroll 2
      for (int k = j; k < j + 2; ++k) {
        const Vec<kLanes> one =
            larger<Vec<kLanes>>(finish(i, k, upper[k]), finish(i + 1, k, lower[k]));
        most = k == j ? one : larger<Vec<kLanes>>(most, one);
      }
      Map::template store<kLanes>(out + j / 2 * pixel, most);
    }
  }
}

template <typename Map, int kMy, int kMx, EpilogueKind kKind>
void output_tile(const WinogradOutput& a, const OutputTile<kMy, kMx>& tile, const float* m) {
  for_lanes<kWidth>(0, a.channels, [&]<int kLanes>(int c) {
    Vec<kLanes> rows[kMy][kMx + 2];
    inverse_transform<kMy, kMx, kLanes>(m + c, a.point_stride, rows);
    const int channel = a.channel_begin + c;
    if (a.epilogue.max_pool)
      return pooled_lanes<Map, kMy, kMx, kKind, kLanes>(a.epilogue, tile, a.output, rows, channel);
    output_lanes<Map, kMy, kMx, kKind, kLanes>(a.epilogue, tile, a.output, rows, channel);
  });
}

template <typename Map, int kMy, int kMx>
void output_tiles(const WinogradOutput& a) {
  with_kind(a.epilogue.kind, [&]<EpilogueKind kKind>() {
    for (int t = a.tile_begin; t < a.tile_end; ++t) {
      const int in_image = t % a.tiles_per_image;
      OutputTile<kMy, kMx> tile;
      tile.image = t / a.tiles_per_image;
      tile.y = in_image / a.tiles_x * kMy;
      tile.x = in_image % a.tiles_x * kMx;
      const int below = a.epilogue.height - tile.y, right = a.epilogue.width - tile.x;
      tile.height = below < kMy ? below : kMy;
      tile.width = right < kMx ? right : kMx;
      find_sources(a.epilogue, tile);
      output_tile<Map, kMy, kMx, kKind>(a, tile,
                                        a.m + static_cast<size_t>(t - a.tile_begin) * a.lanes);
    }
  });
}

template <typename Number, int kMy, int kMx>
void winograd_output(const WinogradOutput& a) {
  with_map<Number>(a.epilogue.bf16_output, [&]<typename Map>() { output_tiles<Map, kMy, kMx>(a); });
}

template <typename Number, int kMy, int kMx>
constexpr WinogradKernels winograd_kernels() {
  return {&winograd_input<Number, kMy, kMx>, &winograd_gemm<Number, (kMy + 2) * (kMx + 2)>,
          &winograd_output<Number, kMy, kMx>};
}

template <typename Number>
constexpr WinogradSet winograd_set() {
  WinogradSet set{winograd_kernels<Number, 2, 2>(),
                  winograd_kernels<Number, 2, 4>(),
                  winograd_kernels<Number, 4, 4>(),
                  {}};
  if constexpr (Number::kChannels == 1) set.tile6x6 = winograd_kernels<Number, 6, 6>();
  return set;
}

}  // namespace face::cpu::FACE_CONV_ISA
