// SPDX-License-Identifier: MIT
// kernels/cuda/conv_tile.h - index maps of the tensor-core convolution, for host and device.
#pragma once

#include <cstddef>

#include "kernels/cuda/ops.h"
#include "kernels/math/host_device.h"

namespace face::cuda {

constexpr int kConvRows = 128;  // output pixels of a block

/// Output pixels of a block: `images` x `height` x `width`, at most kConvRows, and the patch of the
/// input (halo) that they read. Small maps take several images, so that few rows stay idle.
struct ConvTile {
  int width = 0, height = 0, images = 0;
  int across = 0, down = 0, deep = 0;  // tiles
  int halo_w = 0, halo_h = 0;

  FACE_HD int halo_pixels() const { return images * halo_h * halo_w; }
  FACE_HD int rows() const { return images * height * width; }
};

/// 16-byte unit in which unit `unit` of a row of `tile_k` halves lies: any 8 rows in a line that
/// one ldmatrix reads then fall into different banks.
template <int TileK>
FACE_HD int swizzle(int row, int unit) {
  constexpr int kUnits = TileK / 8, kRowsPerLine = 8 / kUnits;
  return unit ^ (row / kRowsPerLine & (kUnits - 1));
}

/// Output channel, within its block, of row `n` of the packed weights. Channels are dealt out such
/// that a thread's results of two neighbouring 8-wide tiles are 4 consecutive channels.
FACE_HD int packed_channel(int n, int tile_n) {
  const int tile = n / 8, column = n % 8;
  if (tile_n / 8 % 2 == 1 && tile == tile_n / 8 - 1) return n;
  return tile / 2 * 16 + column / 2 * 4 + tile % 2 * 2 + column % 2;
}

/// Patches and weights under way at once.
constexpr int kWeightStages = 3;
FACE_HD int halo_stages(int kernel_h, int chunks) {
  const int wanted = kernel_h == 1 ? 3 : 2;
  return chunks < wanted ? chunks : wanted;
}

/// Shared memory of a block in bytes: table of patch offsets, patches, weights.
FACE_HD size_t conv_shared(const OpParams& p, const ConvMmaPlan& plan, const ConvTile& tile) {
  const size_t table = (size_t(tile.halo_pixels()) * 4 + 15) / 16 * 16;
  const size_t halo = size_t(tile.halo_pixels()) * plan.tile_k * 2;
  const size_t weights = size_t(p.kernel_w) * plan.tile_n * plan.tile_k * 2;
  return table + halo_stages(p.kernel_h, plan.chunks) * halo + kWeightStages * weights;
}

/// The tile with the fewest blocks that fits `max_shared`; smaller patches break ties.
/// width == 0: none fits.
ConvTile choose_tile(const OpParams& p, const ConvMmaPlan& plan, size_t max_shared);

}  // namespace face::cuda
