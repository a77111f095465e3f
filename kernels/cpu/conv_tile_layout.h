// SPDX-License-Identifier: MIT
// kernels/cpu/conv_tile_layout.h - how copied input rows lie so that all windows of a band of
// output rows are one step apart.
//
// Each row begins with the zeros left of it, which are also those right of the row before: windows
// go on from the last pixel of a row through the zeros to the next row. The few that begin in
// between belong to no pixel. Images of a batch are one tall image, with the zeros above the first
// and below the last between any two.
//
// With a stride the rows are kept apart by their remainder ("phase"): those that neighbouring
// output rows read with the same kernel row are then neighbours, too.
#pragma once

#include <vector>

#include "kernels/cpu/conv.h"

namespace face::cpu {

/// Where the kernel row reads: in rows of phase `phase`, counted in output rows.
struct KernelRow {
  int phase, offset;
};

/// How the copied rows lie; see above.
struct TileLayout {
  explicit TileLayout(const ConvDesc& d);

  int stride = 1;
  int phases = 0;              // that are read
  std::vector<int> remainder;  // [phase]: rows y with y % stride equal to it
  std::vector<KernelRow> kernel_rows;
  int above = 0, below = 0;   // rows of a phase before and behind those of the output
  int image_rows = 0;         // from image to image
  int lead = 0, columns = 0;  // zeros before a row's pixels; its pixels that are read
  int pitch = 0;              // pixels from row to row
  int row_windows = 0;        // windows from output row to output row
};

}  // namespace face::cpu
