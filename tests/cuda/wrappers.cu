// SPDX-License-Identifier: MIT
#include <cstring>

#include "tests/cuda/wrappers.h"

namespace face::cuda {
namespace {

// ---- kernels ----

__device__ __forceinline__ uint32_t pair(const __half* at, int step) {
  __half both[2] = {at[0], at[step]};
  uint32_t bits;
  memcpy(&bits, both, sizeof(bits));
  return bits;
}

__global__ void multiply_kernel(const __half* a, const __half* b, float* d, bool halves) {
  const int row = static_cast<int>(threadIdx.x) / 4, two = static_cast<int>(threadIdx.x) % 4 * 2;
  const uint32_t fa[4] = {pair(a + row * 16 + two, 1), pair(a + (row + 8) * 16 + two, 1),
                          pair(a + row * 16 + two + 8, 1), pair(a + (row + 8) * 16 + two + 8, 1)};
  const uint32_t fb[2] = {pair(b + two * 8 + row, 8), pair(b + (two + 8) * 8 + row, 8)};
  float sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = d[(row + i / 2 * 8) * 8 + two + i % 2];
  if (halves) {
    mma_m16n8k8(sum, fa[0], fa[1], fb[0]);
    mma_m16n8k8(sum, fa[2], fa[3], fb[1]);
  } else {
    mma_m16n8k16(sum, fa, fb[0], fb[1]);
  }
  for (int i = 0; i < 4; ++i) d[(row + i / 2 * 8) * 8 + two + i % 2] = sum[i];
}

__global__ void load_kernel(const __half* matrices, uint32_t* x4, uint32_t* x2) {
  FACE_SHARED(uint4, rows, [32]);
  const int lane = static_cast<int>(threadIdx.x);
  rows[lane] = reinterpret_cast<const uint4*>(matrices)[lane];
  __syncthreads();
  uint32_t four[4], two[2];
  ldmatrix_x4(four, &rows[lane]);
  ldmatrix_x2(two, &rows[lane % 16]);
  for (int i = 0; i < 4; ++i) x4[lane * 4 + i] = four[i];
  for (int i = 0; i < 2; ++i) x2[lane * 2 + i] = two[i];
}

__global__ void copy_kernel(const uint4* from, uint4* to) {
  FACE_SHARED(uint4, stage, [3][32]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int group = 0; group < 3; ++group) {
    cp_async_16(&stage[group][lane], from + group * 32 + lane, lane % 2 == 0);
    cp_async_commit();
  }
  cp_async_wait<2>();
  __syncthreads();
  to[lane] = stage[0][31 - lane];
  cp_async_wait<1>();
  __syncthreads();
  to[32 + lane] = stage[1][31 - lane];
  cp_async_wait<0>();
  __syncthreads();
  to[64 + lane] = stage[2][31 - lane];
}

__global__ void reverse_kernel(const float* from, float* to, int count) {
  FACE_DYNAMIC_SHARED(bytes);
  auto* shared = reinterpret_cast<float*>(bytes);
  const int step = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += step) shared[i] = from[i];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += step) to[i] = shared[count - 1 - i];
}

__global__ void sum_kernel(const int* x, int* out) {
  FACE_SHARED(int, part, [4]);
  const int thread = static_cast<int>(threadIdx.x);
  int sum = x[thread];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(~0u, sum, offset);
  if (thread % 32 == 0) part[thread / 32] = sum;
  __syncthreads();
  const unsigned vote = __ballot_sync(~0u, thread % 3 == 0);
  if (thread == 0) {
    out[0] = part[0] + part[1] + part[2] + part[3];
    out[1] = static_cast<int>(vote);
  }
}

__global__ void pairs_kernel(const __half2* a, const __half2* b, const __half2* c, __half2* d,
                             int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) d[i] = __hfma2(a[i], b[i], c[i]);
}

__global__ void convert_kernel(const float* x, __half* halves, const __half* y, float* numbers,
                               int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  halves[i] = __float2half_rn(x[i]);
  numbers[i] = __half2float(y[i]);
}

}  // namespace

// ---- launchers ----

cudaError_t multiply(const __half* a, const __half* b, float* d, bool halves) {
  return launch(multiply_kernel, 1, 32, 0, nullptr, a, b, d, halves);
}

cudaError_t load_matrices(const __half* matrices, uint32_t* x4, uint32_t* x2) {
  return launch(load_kernel, 1, 32, 0, nullptr, matrices, x4, x2);
}

cudaError_t copy_in_groups(const uint4* from, uint4* to) {
  return launch(copy_kernel, 1, 32, 0, nullptr, from, to);
}

cudaError_t reverse_in_shared(const float* from, float* to, int count) {
  return launch(reverse_kernel, 1, 256, static_cast<size_t>(count) * sizeof(float), nullptr, from,
                to, count);
}

cudaError_t sum_and_vote(const int* x, int* out) {
  return launch(sum_kernel, 1, 128, 0, nullptr, x, out);
}

cudaError_t multiply_add_pairs(const __half2* a, const __half2* b, const __half2* c, __half2* d,
                               int count) {
  return launch(pairs_kernel, static_cast<unsigned>((count + 255) / 256), 256, 0, nullptr, a, b, c,
                d, count);
}

cudaError_t convert(const float* x, __half* halves, const __half* y, float* numbers, int count) {
  return launch(convert_kernel, static_cast<unsigned>((count + 255) / 256), 256, 0, nullptr, x,
                halves, y, numbers, count);
}

}  // namespace face::cuda
