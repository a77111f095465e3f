// SPDX-License-Identifier: MIT
// kernels/math/host_device.h - FACE_HD marks functions that run on host and device alike.
#pragma once

#if defined(__CUDACC__)
#define FACE_HD __host__ __device__ __forceinline__
#else
#define FACE_HD inline
#endif
