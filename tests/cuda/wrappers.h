// SPDX-License-Identifier: MIT
// tests/cuda/wrappers.h - kernels that each do one thing of kernels/cuda/gpu.h and little else.
// What they answer on a GPU is what the emulator has to answer. Launchers are asynchronous.
#pragma once

#include "kernels/cuda/gpu.h"

namespace face::cuda {

/// d (16, 8) += a (16, 16) * b (16, 8), one warp; operands are laid out by PTX's own tables.
/// `halves`: by two mma_m16n8k8 instead of one mma_m16n8k16. REQUIRES: compute capability 7.5.
[[nodiscard]] cudaError_t multiply(const __half* a, const __half* b, float* d, bool halves);

/// Of four matrices (8, 8) in shared memory: what each lane gets of all by ldmatrix_x4, x4 (32, 4),
/// and of the first two by ldmatrix_x2, x2 (32, 2). REQUIRES: compute capability 7.5.
[[nodiscard]] cudaError_t load_matrices(const __half* matrices, uint32_t* x4, uint32_t* x2);

/// Three groups of copies of 32 x 16 bytes from `from` (3, 32), of which lanes with an odd number
/// copy nothing; waits for all but 2, 1, 0 groups and writes what has come each time to `to`.
[[nodiscard]] cudaError_t copy_in_groups(const uint4* from, uint4* to);

/// Reverses `count` numbers in shared memory, which may be more than 48 KiB. One block.
[[nodiscard]] cudaError_t reverse_in_shared(const float* from, float* to, int count);

/// The sum of x (128) by shuffles, and votes: out[0] the sum, out[1] the ballot of multiples of 3.
[[nodiscard]] cudaError_t sum_and_vote(const int* x, int* out);

/// d = a * b + c of `count` pairs of halves, by __hfma2.
[[nodiscard]] cudaError_t multiply_add_pairs(const __half2* a, const __half2* b, const __half2* c,
                                             __half2* d, int count);

/// `count` numbers to halves, and `count` halves to numbers.
[[nodiscard]] cudaError_t convert(const float* x, __half* halves, const __half* y, float* numbers,
                                  int count);

}  // namespace face::cuda
