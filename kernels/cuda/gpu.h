// SPDX-License-Identifier: MIT
// kernels/cuda/gpu.h - the only GPU header: CUDA's own under nvcc or beside its toolkit, ours
// (emu/) where FACE_CUDA_EMULATED is defined. Every PTX instruction in use is a function here.
#pragma once

#if defined(FACE_CUDA_EMULATED)
#include "kernels/cuda/emu/runtime.h"
#include "kernels/cuda/emu/warp.h"
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include <cstdint>

#if defined(FACE_CUDA_EMULATED)
// NOLINTBEGIN(bugprone-macro-parentheses): types and names in declarations
/// FACE_SHARED(float, tile, [16][17]); declares a shared array.
#define FACE_SHARED(T, name, dims)                \
  static const char name##_key = 0;               \
  using name##_type = T dims;                     \
  name##_type& name = *static_cast<name##_type*>( \
      ::face::cuda::emu::shared_array(&name##_key, sizeof(name##_type)))
/// FACE_DYNAMIC_SHARED(name); the launch's dynamic shared memory as bytes, 16-byte aligned.
#define FACE_DYNAMIC_SHARED(name) \
  auto* name = static_cast<unsigned char*>(::face::cuda::emu::dynamic_shared())
#define FACE_UNROLL
#define FACE_SITE , ::face::cuda::emu::Site site = {__builtin_FILE(), __builtin_LINE()}
#else
#define FACE_SHARED(T, name, dims) __shared__ T name dims
#define FACE_DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#define FACE_UNROLL _Pragma("unroll")
#define FACE_SITE
#endif
// NOLINTEND(bugprone-macro-parentheses)

namespace face::cuda {

/// Starts a kernel; the typed stand-in for <<<>>>. A bad launch shows in the result, a fault of
/// the kernel at the next synchronisation. `shared` beyond 48 KiB is asked for here.
#if defined(FACE_CUDA_EMULATED)
template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                   A... arguments) {
  return emu::launch(kernel, grid, block, shared, stream, std::tuple<P...>(P(arguments)...));
}
#elif defined(__CUDACC__)
template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                   A... arguments) {
  if (shared > (48u << 10)) {
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (error != cudaSuccess) return error;
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, P(arguments)...);
}
#endif

#if defined(FACE_CUDA_EMULATED) || defined(__CUDACC__)

/// D(16x8, f32) += A(16x8, f16, row) * B(8x8, f16, column). sm_75 and later.
__device__ __forceinline__ void mma_m16n8k8(float (&d)[4], uint32_t a0, uint32_t a1,
                                            uint32_t b0 FACE_SITE) {
#if defined(FACE_CUDA_EMULATED)
  const uint32_t a[2] = {a0, a1};
  emu::mma<8>(d, a, &b0, site);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},"
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(b0));
#endif
}

/// D(16x8, f32) += A(16x16, f16, row) * B(16x8, f16, column). One instruction from sm_80 on.
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1 FACE_SITE) {
#if defined(FACE_CUDA_EMULATED)
  const uint32_t b[2] = {b0, b1};
  emu::mma<16>(d, a, b, site);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif defined(__CUDA_ARCH__)
  mma_m16n8k8(d, a[0], a[1], b0);
  mma_m16n8k8(d, a[2], a[3], b1);
#endif
}

/// Four 8x8 matrices of halves from shared memory; lane 8 * j + i gives row i of matrix j.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row FACE_SITE) {
#if defined(FACE_CUDA_EMULATED)
  emu::ldmatrix<4>(r, row, site);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
#endif
}
/// Two matrices: lanes 0..15 give rows.
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void* row FACE_SITE) {
#if defined(FACE_CUDA_EMULATED)
  emu::ldmatrix<2>(r, row, site);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1},[%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
#endif
}

/// 16 bytes from global to shared memory, or zeros if `valid` is false. Visible to the caller
/// after cp_async_wait, to the block after a barrier. Immediate before sm_80.
__device__ __forceinline__ void cp_async_16(void* to, const void* from, bool valid) {
#if defined(FACE_CUDA_EMULATED)
  emu::cp_async(to, from, 16, valid ? 16 : 0);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(from), "r"(valid ? 16 : 0)
               : "memory");
#elif defined(__CUDA_ARCH__)
  *static_cast<uint4*>(to) = valid ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
#endif
}
__device__ __forceinline__ void cp_async_commit() {
#if defined(FACE_CUDA_EMULATED)
  emu::cp_async_commit();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits until at most `Keep` of the caller's groups are under way.
template <int Keep>
__device__ __forceinline__ void cp_async_wait() {
#if defined(FACE_CUDA_EMULATED)
  emu::cp_async_wait(Keep);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Keep) : "memory");
#endif
}

#endif  // kernels

}  // namespace face::cuda
