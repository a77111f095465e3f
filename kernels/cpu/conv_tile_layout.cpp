// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv_tile_layout.h"

#include <algorithm>

#include "kernels/cpu/conv_layer.h"

namespace face::cpu {
namespace {

constexpr int floor_div(int a, int b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

}  // namespace

TileLayout::TileLayout(const ConvDesc& d) : stride(d.stride), lead(d.pad_left) {
  std::vector<int> phase_of(stride, -1);
  for (int ky = 0; ky < d.kernel_h; ++ky) {
    const int offset = floor_div(ky - d.pad_top, stride);
    const int rest = ky - d.pad_top - offset * stride;
    if (phase_of[rest] < 0) {
      phase_of[rest] = phases++;
      remainder.push_back(rest);
    }
    kernel_rows.push_back({phase_of[rest], offset});
    above = std::max(above, -offset);
    below = std::max(below, offset);
  }
  // The zeros below an image are those above the next one, unless rows of the image lie there.
  const bool is_zero_below = ceil_div(d.in_height, stride) <= d.out_height;
  image_rows = d.out_height + (is_zero_below ? std::max(above, below) : above + below);
  if (d.max_pool) image_rows += image_rows % 2;
  // Likewise right of a row and left of the next one.
  const int end = (d.out_width - 1) * stride + d.kernel_w - d.pad_left;
  columns = std::min(d.in_width, end);
  pitch = ceil_div(lead + columns + std::max(0, end - columns - lead), stride) * stride;
  row_windows = pitch / stride;
}

}  // namespace face::cpu
