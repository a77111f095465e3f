// SPDX-License-Identifier: MIT
// kernels/math/border_bias.h - which of the nine biases of a folded BatchNorm an output pixel
// takes.
#pragma once

#include "kernels/math/host_device.h"

namespace face {

/// Class along one axis: 0 if the window of output position `out` reaches before the input's first
/// row or column, 2 if it reaches behind the last, else 1. REQUIRES: it does not do both.
FACE_HD int border_class(int out, int stride, int pad, int kernel, int in_size) {
  const int begin = out * stride - pad;
  return begin < 0 ? 0 : (begin + kernel > in_size ? 2 : 1);
}

/// Row of a (9, channels) border bias: BiasKind::kBorder9 in engine/network.h.
FACE_HD int border_bias_row(int vertical_class, int horizontal_class) {
  return 3 * vertical_class + horizontal_class;
}

}  // namespace face
