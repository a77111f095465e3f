// SPDX-License-Identifier: MIT
// kernels/math/host_device.h - FACE_HD marks functions that run on host and device alike.
#pragma once

#if defined(__CUDACC__)
#define FACE_HD __host__ __device__ __forceinline__
#else
#define FACE_HD inline
#endif

namespace face {

/// a * b + c with both operations rounded, never contracted to one FMA: pixel positions computed
/// with it are the same to the bit on host and device. (Host code is built with contraction off.)
FACE_HD double mul_add_rn(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __dadd_rn(__dmul_rn(a, b), c);
#else
  return a * b + c;
#endif
}

}  // namespace face
