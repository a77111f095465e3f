// SPDX-License-Identifier: MIT
// Pictures of any sizes to the network's squares. One thread: an output pixel. Memory-bound.
#include "kernels/cuda/pixels.h"
#include "kernels/cuda/tensor.cuh"

namespace face::cuda {
namespace {

constexpr int kThreads = 128;

// ---- kernels ----

/// Grid: pixels of a square, images.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    letterbox_kernel(const LetterboxImage* images, int size, Normalisation normalisation, T* out) {
  const int pixel = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= size * size) return;
  const LetterboxImage& source = images[blockIdx.y];
  const int y = pixel / size, x = pixel % size;
  const Rgb rgb = source.image.format == PixelFormat::kRgb
                      ? letterbox_pixel(source.image, source.fit, y, x)
                      : letterbox_pixel(ycc420(source.image), source.fit, y, x);
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

cudaError_t letterbox(const LetterboxImage* images, int count, int size,
                      Normalisation normalisation, void* out, ElementType type,
                      cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(size * size, kThreads)),
                  static_cast<unsigned>(count));
  return with_type(type, [&](auto tag) {
    using T = decltype(tag);
    return launch(letterbox_kernel<T>, grid, kThreads, 0, stream, images, size, normalisation,
                  static_cast<T*>(out));
  });
}

}  // namespace face::cuda
