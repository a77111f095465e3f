// SPDX-License-Identifier: MIT
// kernels/cuda/pixels.h - between pictures and networks on the device, for a whole batch in one
// launch each. Pixels are those of kernels/math, to the bit; networks read NHWC of T (float or
// __half), 3 channels padded to 8 with zeros. Launchers as in ops.h.
#pragma once

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ops.h"
#include "kernels/math/letterbox.h"
#include "kernels/math/pixel.h"
#include "kernels/math/types.h"
#include "kernels/math/ycc420.h"

namespace face::cuda {

/// A picture in device memory and where it lies in the network's square.
struct LetterboxImage {
  ImageView image;
  Fit fit;
};

/// out[i] = letterboxed images[i], normalised. Shapes: images (count) and out (count, size, size,
/// 8), both on the device.
[[nodiscard]] cudaError_t letterbox(const LetterboxImage* images, int count, int size,
                                    Normalisation normalisation, void* out, ElementType type,
                                    cudaStream_t stream);

/// A face in a picture in device memory.
struct AlignFace {
  ImageView image;
  Point landmarks[kLandmarks];
};

/// out[i] = the upright square of faces[i], normalised. Shapes as letterbox().
[[nodiscard]] cudaError_t align(const AlignFace* faces, int count, int size,
                                Normalisation normalisation, void* out, ElementType type,
                                cudaStream_t stream);

}  // namespace face::cuda
