// SPDX-License-Identifier: MIT
// Faces to upright squares, straight from the pictures. One thread: an output pixel; the block's
// first thread fits the similarity (float64, a few dozen operations).
#include "kernels/cuda/pixels.h"
#include "kernels/cuda/tensor.cuh"
#include "kernels/math/warp.h"

namespace face::cuda {
namespace {

constexpr int kThreads = 256;

// ---- kernels ----

/// Grid: pixels of a square, faces.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    align_kernel(const AlignFace* faces, int size, Normalisation normalisation, T* out) {
  FACE_SHARED(double, map, [6]);
  const AlignFace& face = faces[blockIdx.y];
  if (threadIdx.x == 0) {
    const Affine fitted = crop_to_image(face.landmarks, size);
    for (int i = 0; i < 6; ++i) map[i] = fitted.m[i];
  }
  __syncthreads();
  const int pixel = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= size * size) return;
  Affine to_image;
  for (int i = 0; i < 6; ++i) to_image.m[i] = map[i];
  const int y = pixel / size, x = pixel % size;
  const Rgb rgb = face.image.format == PixelFormat::kRgb
                      ? warp_pixel(face.image, to_image, y, x)
                      : warp_pixel(ycc420(face.image), to_image, y, x);
  const float v[8] = {normalise(rgb.r, normalisation),
                      normalise(rgb.g, normalisation),
                      normalise(rgb.b, normalisation),
                      0.f,
                      0.f,
                      0.f,
                      0.f,
                      0.f};
  store(out + (size_t(blockIdx.y) * size * size + pixel) * 8, v);
}

}  // namespace

// ---- launchers ----

cudaError_t align(const AlignFace* faces, int count, int size, Normalisation normalisation,
                  void* out, ElementType type, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(size * size, kThreads)),
                  static_cast<unsigned>(count));
  return with_type(type, [&](auto tag) {
    using T = decltype(tag);
    return launch(align_kernel<T>, grid, kThreads, 0, stream, faces, size, normalisation,
                  static_cast<T*>(out));
  });
}

}  // namespace face::cuda
