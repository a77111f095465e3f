// SPDX-License-Identifier: MIT
// Convolution as an implicit matrix product on tensor cores, NHWC halves, float32 sums.
//
// A block computes 128 output pixels x tile_n channels. It walks the input channels in chunks of
// tile_k; the patch of the input that the pixels need is staged in shared memory once per chunk
// and serves all taps, the weights come one kernel row at a time (step). Both are fetched two
// steps ahead by cp.async; one barrier a step. Four warps own 32 pixels each.
#include "kernels/cuda/conv_tile.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/tensor.cuh"

namespace face::cuda {
namespace {

constexpr int kThreads = 128;

// ---- kernels ----

/// Where output row `m` of the block lies.
struct Place {
  int n, y, x;
  bool valid;
};

__device__ __forceinline__ Place place_of(const OpParams& p, const ConvTile& t, int m) {
  const int tile = static_cast<int>(blockIdx.x);
  const int x0 = tile % t.across * t.width, y0 = tile / t.across % t.down * t.height;
  const int n0 = tile / (t.across * t.down) * t.images;
  const int area = t.width * t.height;
  const int n = n0 + m / area, y = y0 + m % area / t.width, x = x0 + m % t.width;
  return {n, y, x, m < t.rows() && n < p.batch && y < p.out_h && x < p.out_w};
}

/// Fills `offsets` with the input pixel of each patch pixel, -1 outside the input.
__device__ __forceinline__ void make_offsets(const OpParams& p, const ConvTile& t, int* offsets) {
  const Place first = place_of(p, t, 0);
  const int y0 = first.y * p.stride_h - p.pad_top, x0 = first.x * p.stride_w - p.pad_left;
  for (int i = threadIdx.x; i < t.halo_pixels(); i += kThreads) {
    const int x = x0 + i % t.halo_w, y = y0 + i / t.halo_w % t.halo_h;
    const int n = first.n + i / (t.halo_w * t.halo_h);
    const bool inside = n < p.batch && y >= 0 && y < p.in_h && x >= 0 && x < p.in_w;
    offsets[i] = inside ? (n * p.in_h + y) * p.in_w + x : -1;
  }
}

template <int TileK>
__device__ __forceinline__ void fetch_halo(const OpParams& p, const int* offsets, int pixels,
                                           int chunk, __half* halo) {
  constexpr int kUnits = TileK / 8;
  const __half* in = static_cast<const __half*>(p.in);
  const int stride = padded(p.in_c);
  for (int i = threadIdx.x; i < pixels * kUnits; i += kThreads) {
    const int pixel = i / kUnits, unit = i % kUnits, channel = chunk * TileK + unit * 8;
    const int offset = offsets[pixel];
    const bool valid = offset >= 0 && channel < stride;
    cp_async_16(halo + pixel * TileK + swizzle<TileK>(pixel, unit) * 8,
                in + (valid ? size_t(offset) * stride + channel : 0), valid);
  }
}

template <int TileK>
__device__ __forceinline__ void fetch_weights(const __half* from, int rows, __half* to) {
  constexpr int kUnits = TileK / 8;
  for (int i = threadIdx.x; i < rows * kUnits; i += kThreads) {
    const int row = i / kUnits, unit = i % kUnits;
    cp_async_16(to + row * TileK + swizzle<TileK>(row, unit) * 8, from + i * 8, true);
  }
}

/// Adds one tap's products of a chunk: acc(32 pixels, NT * 8 channels).
/// halo_row: patch pixel of this lane's row in each of the two 16-row tiles.
template <int NT, int TileK>
__device__ __forceinline__ void multiply(const __half* halo, const int (&halo_row)[2],
                                         const __half* weights, int weight_row,
                                         float (&acc)[2][NT][4]) {
  const int lane = threadIdx.x % 32, matrix = lane / 8, row = lane % 8;
  if constexpr (TileK == 8) {
    uint32_t a[2][2];
    for (int m = 0; m < 2; ++m) ldmatrix_x2(a[m], halo + halo_row[m] * 8);
    FACE_UNROLL
    for (int j = 0; j < NT; j += 2) {
      uint32_t b[2];
      ldmatrix_x2(b, weights + (weight_row + (j + matrix % 2) * 8 + row) * 8);
      FACE_UNROLL
      for (int m = 0; m < 2; ++m) {
        mma_m16n8k8(acc[m][j], a[m][0], a[m][1], b[0]);
        mma_m16n8k8(acc[m][j + 1], a[m][0], a[m][1], b[1]);
      }
    }
  } else {
    FACE_UNROLL
    for (int k = 0; k < TileK / 16; ++k) {
      uint32_t a[2][4];
      FACE_UNROLL
      for (int m = 0; m < 2; ++m)
        ldmatrix_x4(
            a[m], halo + halo_row[m] * TileK + swizzle<TileK>(halo_row[m], k * 2 + lane / 16) * 8);
      FACE_UNROLL
      for (int j = 0; j + 1 < NT; j += 2) {
        const int n = weight_row + (j + matrix / 2) * 8 + row;
        uint32_t b[4];
        ldmatrix_x4(b, weights + n * TileK + swizzle<TileK>(n, k * 2 + matrix % 2) * 8);
        FACE_UNROLL
        for (int m = 0; m < 2; ++m) {
          mma_m16n8k16(acc[m][j], a[m], b[0], b[1]);
          mma_m16n8k16(acc[m][j + 1], a[m], b[2], b[3]);
        }
      }
      if constexpr (NT % 2 == 1) {
        const int n = weight_row + (NT - 1) * 8 + row;
        uint32_t b[2];
        ldmatrix_x2(b, weights + n * TileK + swizzle<TileK>(n, k * 2 + matrix % 2) * 8);
        FACE_UNROLL
        for (int m = 0; m < 2; ++m) mma_m16n8k16(acc[m][NT - 1], a[m], b[0], b[1]);
      }
    }
  }
}

/// Bias, addend, activation and store of the block's results.
template <int NT>
__device__ __forceinline__ void write_results(const OpParams& p, const ConvTile& t,
                                              const float (&acc)[2][NT][4]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, quad = lane % 4;
  const int channel0 = static_cast<int>(blockIdx.y) * NT * 8;
  const int split = static_cast<int>(blockIdx.z);
  FACE_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int m = i / 2, h = i % 2;
    const Place at = place_of(p, t, warp * 32 + m * 16 + h * 8 + lane / 4);
    if (!at.valid) continue;
    FACE_UNROLL
    for (int j = 0; j + 1 < NT; j += 2) {
      float v[4] = {acc[m][j][h * 2], acc[m][j][h * 2 + 1], acc[m][j + 1][h * 2],
                    acc[m][j + 1][h * 2 + 1]};
      finish_or_part<__half>(p, v, split, at.n, at.y, at.x, channel0 + j * 8 + quad * 4);
    }
    if constexpr (NT % 2 == 1) {
      float v[2] = {acc[m][NT - 1][h * 2], acc[m][NT - 1][h * 2 + 1]};
      finish_or_part<__half>(p, v, split, at.n, at.y, at.x, channel0 + (NT - 1) * 8 + quad * 2);
    }
  }
}

/// Grid: tiles, blocks of channels, splits of the input channels.
/// Blocks a multiprocessor has to hold, 0: as many as ptxas likes. Of these it wants one more than
/// fit without spilling: on sm_75, and CUDA 11's on sm_90.
constexpr int min_blocks([[maybe_unused]] int nt, [[maybe_unused]] int tile_k) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 750
  if (tile_k == 32) return nt == 4 ? 4 : nt == 10 ? 2 : 0;
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900 && __CUDACC_VER_MAJOR__ == 11
  if (nt == 2 && tile_k == 32) return 5;
  if (nt == 8 && tile_k == 8) return 4;
#endif
  return 0;
}

template <int NT, int TileK>
__global__ void __launch_bounds__(kThreads, min_blocks(NT, TileK))
    conv_mma_kernel(const OpParams p, const ConvTile t, int chunks) {
  constexpr int kTileN = NT * 8;
  FACE_DYNAMIC_SHARED(shared);
  const int pixels = t.halo_pixels(), halo_size = pixels * TileK;
  const int weight_size = p.kernel_w * kTileN * TileK, stages = halo_stages(p.kernel_h, chunks);
  int* offsets = reinterpret_cast<int*>(shared);
  __half* halos = reinterpret_cast<__half*>(shared + (pixels * 4 + 15) / 16 * 16);
  __half* weights = halos + stages * halo_size;

  const int per_split = ceil_div(chunks, p.splits);
  const int chunk0 = static_cast<int>(blockIdx.z) * per_split;
  const int chunk_count = min(per_split, chunks - chunk0);
  const int steps = max(chunk_count, 0) * p.kernel_h;
  const __half* packed = static_cast<const __half*>(p.weights) +
                         (size_t(blockIdx.y) * chunks + chunk0) * p.kernel_h * weight_size;

  make_offsets(p, t, offsets);
  __syncthreads();

  const auto fetch = [&](int step) {
    if (step < steps) {
      const int chunk = step / p.kernel_h;
      if (step % p.kernel_h == 0)
        fetch_halo<TileK>(p, offsets, pixels, chunk0 + chunk, halos + chunk % stages * halo_size);
      fetch_weights<TileK>(packed + size_t(step) * weight_size, p.kernel_w * kTileN,
                           weights + step % kWeightStages * weight_size);
    }
    cp_async_commit();
  };

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int halo_row[2];
  FACE_UNROLL
  for (int m = 0; m < 2; ++m) {
    const int row = warp * 32 + m * 16 + lane % 16, area = t.width * t.height;
    const int y = row % area / t.width * p.stride_h, x = row % t.width * p.stride_w;
    halo_row[m] = row < t.rows() ? (row / area * t.halo_h + y) * t.halo_w + x : 0;
  }

  float acc[2][NT][4];
  FACE_UNROLL
  for (int m = 0; m < 2; ++m) FACE_UNROLL
  for (int j = 0; j < NT; ++j) FACE_UNROLL
  for (int i = 0; i < 4; ++i) acc[m][j][i] = 0.f;

  fetch(0);
  fetch(1);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<1>();
    __syncthreads();  // this step has arrived; the one before it is read
    fetch(step + 2);
    const __half* halo = halos + step / p.kernel_h % stages * halo_size;
    const __half* kernel_row = weights + step % kWeightStages * weight_size;
    for (int kx = 0; kx < p.kernel_w; ++kx) {
      const int shift = step % p.kernel_h * t.halo_w + kx;
      const int rows[2] = {halo_row[0] + shift, halo_row[1] + shift};
      multiply<NT, TileK>(halo, rows, kernel_row, kx * kTileN, acc);
    }
  }
  cp_async_wait<0>();
  write_results<NT>(p, t, acc);
}

// ---- launchers ----

template <int NT, int TileK>
cudaError_t run(const OpParams& p, const ConvMmaPlan& plan, int max_shared, cudaStream_t stream) {
  const ConvTile tile = choose_tile(p, plan, static_cast<size_t>(max_shared));
  if (tile.width == 0) return cudaErrorInvalidValue;
  const dim3 grid(static_cast<unsigned>(tile.across * tile.down * tile.deep),
                  static_cast<unsigned>(plan.blocks_n), static_cast<unsigned>(p.splits));
  return launch(conv_mma_kernel<NT, TileK>, grid, kThreads, conv_shared(p, plan, tile), stream, p,
                tile, plan.chunks);
}

template <int TileK>
cudaError_t run_k(const OpParams& p, const ConvMmaPlan& plan, int max_shared, cudaStream_t stream) {
  switch (plan.tile_n) {
    case 16:
      return run<2, TileK>(p, plan, max_shared, stream);
    case 32:
      return run<4, TileK>(p, plan, max_shared, stream);
    case 64:
      return run<8, TileK>(p, plan, max_shared, stream);
    default:
      break;
  }
  if constexpr (TileK != 8) {
    if (plan.tile_n == 56) return run<7, TileK>(p, plan, max_shared, stream);
    if (plan.tile_n == 80) return run<10, TileK>(p, plan, max_shared, stream);
    if (plan.tile_n == 88) return run<11, TileK>(p, plan, max_shared, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t conv_mma(const OpParams& p, const ConvMmaPlan& plan, int max_shared,
                     cudaStream_t stream) {
  if (p.groups != 1 || p.batch < 1) return cudaErrorInvalidValue;
  switch (plan.tile_k) {
    case 8:
      return run_k<8>(p, plan, max_shared, stream);
    case 16:
      return run_k<16>(p, plan, max_shared, stream);
    case 32:
      return run_k<32>(p, plan, max_shared, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace face::cuda
