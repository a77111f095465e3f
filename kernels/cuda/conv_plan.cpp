// SPDX-License-Identifier: MIT
// Host side of the convolutions: how work is cut and weights are packed.
#include <algorithm>
#include <limits>

#include "kernels/cuda/conv_tile.h"
#include "kernels/cuda/ops.h"
#include "kernels/math/half.h"

namespace face::cuda {
namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }
int lanes_of(Products products) { return products == Products::kHalf2 ? 2 : 1; }

ConvTile make_tile(const OpParams& p, int width, int height, int images) {
  ConvTile t;
  t.width = width;
  t.height = height;
  t.images = images;
  t.across = ceil_div(p.out_w, width);
  t.down = ceil_div(p.out_h, height);
  t.deep = ceil_div(p.batch, images);
  t.halo_w = (width - 1) * p.stride_w + p.kernel_w;
  t.halo_h = (height - 1) * p.stride_h + p.kernel_h;
  return t;
}

}  // namespace

ConvTile choose_tile(const OpParams& p, const ConvMmaPlan& plan, size_t max_shared) {
  ConvTile best;
  size_t best_blocks = 0;
  const int max_width = std::min(p.out_w, kConvRows);
  for (int width = std::clamp(max_width, 1, 4); width <= max_width; ++width) {
    const int max_height = std::min(p.out_h, kConvRows / width);
    for (int height = 1; height <= max_height; ++height) {
      const bool whole = width == p.out_w && height == p.out_h;
      const int images = whole ? std::min(p.batch, kConvRows / (width * height)) : 1;
      const ConvTile t = make_tile(p, width, height, std::max(images, 1));
      if (conv_shared(p, plan, t) > max_shared) continue;
      const size_t blocks = size_t(t.across) * t.down * t.deep;
      const bool better = best.width == 0 || blocks < best_blocks ||
                          (blocks == best_blocks && t.halo_pixels() < best.halo_pixels());
      if (!better) continue;
      best = t;
      best_blocks = blocks;
    }
  }
  return best;
}

ConvMmaPlan plan_conv_mma(const OpParams& p) {
  ConvMmaPlan plan;
  const int in = padded(p.in_c), out = padded(p.out_c);
  plan.tile_k = p.kernel_h * p.kernel_w == 1 ? 32 : 16;
  if (in == 8) plan.tile_k = 8;
  plan.tile_n = 16;
  int best_cost = std::numeric_limits<int>::max();
  for (const int tile : {16, 32, 56, 64, 80, 88}) {
    if (plan.tile_k == 8 && tile != 16 && tile != 32 && tile != 64) continue;
    const int cost = ceil_div(out, tile) * (tile + 16);  // 16: the patch is staged once more
    if (cost > best_cost) continue;
    plan.tile_n = tile;
    best_cost = cost;
  }
  plan.blocks_n = ceil_div(out, plan.tile_n);
  plan.chunks = ceil_div(in, plan.tile_k);
  plan.weight_count =
      size_t(plan.blocks_n) * plan.chunks * p.kernel_h * p.kernel_w * plan.tile_n * plan.tile_k;
  return plan;
}

void pack_conv_mma(const OpParams& p, const ConvMmaPlan& plan, const float* weights,
                   uint16_t* packed) {
  const int taps = p.kernel_h * p.kernel_w;
  for (int block = 0; block < plan.blocks_n; ++block)
    for (int chunk = 0; chunk < plan.chunks; ++chunk)
      for (int tap = 0; tap < taps; ++tap)
        for (int n = 0; n < plan.tile_n; ++n)
          for (int k = 0; k < plan.tile_k; ++k) {
            const int o = block * plan.tile_n + packed_channel(n, plan.tile_n);
            const int i = chunk * plan.tile_k + k;
            const bool real = o < p.out_c && i < p.in_c;
            *packed++ = real ? half_from_float(weights[(size_t(o) * p.in_c + i) * taps + tap]) : 0;
          }
}

// Shape: (groups, kernel_h * kernel_w, in_c / groups / lanes, out_c / groups rounded up to 32,
// lanes) with two lanes for pairs of halves, else one.
size_t conv_simt_weight_count(const OpParams& p, Products products) {
  const int lanes = lanes_of(products), units = ceil_div(p.in_c / p.groups, lanes);
  const int columns = ceil_div(p.out_c / p.groups, 32) * 32;
  return size_t(p.groups) * p.kernel_h * p.kernel_w * units * columns * lanes;
}

void pack_conv_simt(const OpParams& p, Products products, const float* weights, float* packed) {
  const int in = p.in_c / p.groups, out = p.out_c / p.groups, taps = p.kernel_h * p.kernel_w;
  const int columns = ceil_div(out, 32) * 32, lanes = lanes_of(products);
  for (int g = 0; g < p.groups; ++g)
    for (int tap = 0; tap < taps; ++tap)
      for (int first = 0; first < in; first += lanes)
        for (int o = 0; o < columns; ++o)
          for (int i = first; i < first + lanes; ++i) {
            const bool real = o < out && i < in;
            *packed++ = real ? weights[(size_t(g * out + o) * in + i) * taps + tap] : 0.f;
          }
}

}  // namespace face::cuda
