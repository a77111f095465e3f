// SPDX-License-Identifier: MIT
// kernels/cuda/ops.h - the operations of a network on the device: parameters and launchers.
//
// Tensors are NHWC of T (float or __half), channels padded to a multiple of 8 with zeros, which
// every operation keeps zero. Sums are float32 (but see Products). Launchers are asynchronous on
// `stream`, allocate nothing and may be captured; what they return is cudaSuccess or why the launch
// was refused. Pointers are 16-byte aligned device memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/gpu.h"
#include "kernels/math/host_device.h"

namespace face::cuda {

/// Raised with every change to a convolution's speed: timings kept on disk depend on it.
constexpr int kConvRevision = 2;

enum class ElementType { kFloat, kHalf };
constexpr int kChannelPad = 8;
FACE_HD constexpr int padded(int channels) {
  return (channels + kChannelPad - 1) / kChannelPad * kChannelPad;
}

// Values of face::Activation (engine/network.h).
enum class Act : int { kNone = 0, kRelu = 1, kPrelu = 2, kClip = 3, kSigmoid = 4 };

/// One operation from `in` to `out`; every kernel uses the fields that concern it. What follows the
/// sum is the same for all: activation(sum + bias + addend).
struct OpParams {
  const void* in = nullptr;  // (batch, in_h, in_w, padded(in_c))
  void* out = nullptr;       // (batch, out_h, out_w, padded(out_c))
  const void* weights = nullptr;
  int batch = 0;
  int in_h = 0, in_w = 0, in_c = 0;
  int out_h = 0, out_w = 0, out_c = 0;
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0;
  int groups = 1;
  bool count_include_pad = false;
  int pad_bottom = 0, pad_right = 0;  // average pools that count them
  bool upsample = false;              // pointwise: `in` has half the size

  const float* bias = nullptr;  // (padded(out_c)), or (9, padded(out_c)) with border_bias
  bool border_bias = false;     // kernels/math/border_bias.h
  const void* addend = nullptr;
  bool addend_upsampled = false;  // of half the output's size
  Act activation = Act::kNone;
  const float* slopes = nullptr;  // (padded(out_c))
  float clip_low = 0.f, clip_high = 0.f;

  float* partial = nullptr;  // split-K: (splits, batch, out_h, out_w, padded(out_c)); else null
  int splits = 1;
};

// ---- convolution on tensor cores (sm_75 and later), groups 1, halves ----

/// How conv_mma cuts its work; chosen by plan_conv_mma() for a shape, weights packed to match.
struct ConvMmaPlan {
  int tile_n = 0;  // output channels of a block: 16, 32, 56, 64, 80 or 88
  int tile_k = 0;  // input channels of a step: 8, 16 or 32
  int blocks_n = 0, chunks = 0;
  size_t weight_count = 0;  // halves of packed weights
};
[[nodiscard]] ConvMmaPlan plan_conv_mma(const OpParams& p);
/// Packs (out_c, in_c, kernel_h, kernel_w) float32 into plan.weight_count halves (host memory).
void pack_conv_mma(const OpParams& p, const ConvMmaPlan& plan, const float* weights,
                   uint16_t* packed);
/// splits > 1: writes p.partial, which finish_split() then sums.
/// REQUIRES: a device of compute capability 7.5 or later.
[[nodiscard]] cudaError_t conv_mma(const OpParams& p, const ConvMmaPlan& plan, int max_shared,
                                   cudaStream_t stream);

// ---- convolution without tensor cores: any groups, float or half ----

/// What conv_simt multiplies in.
enum class Products {
  kFloat,
  /// Pairs of halves, along the input channels. Per lane kHalf2Chunk products are fused-multiply-
  /// added in halves, then the chunk goes into the float32 sum. Each product is rounded kHalf2Chunk
  /// times at most, by 2^-11 of what the chunk is then or by 2^-25, so that a sum is off by at most
  ///   ((1 + 2^-11)^8 - 1) * sum of |products| + 2^-25 * number of products,
  /// for products of random signs by about 2.07e-4 * sqrt((8 + 1) / 2) = 4.4e-4 of its size
  /// (2.07e-4: a rounding to half, on average). A chunk beyond 65504 makes the result NaN, whatever
  /// activation follows, even if others would have brought the sum back into the range of halves.
  kHalf2,
};
constexpr int kHalf2Chunk = 8;

[[nodiscard]] size_t conv_simt_weight_count(const OpParams& p, Products products);
/// Packs (out_c, in_c / groups, kernel_h, kernel_w); elements of T are made by the caller.
void pack_conv_simt(const OpParams& p, Products products, const float* weights, float* packed);
/// REQUIRES: for kHalf2 halves and groups 1; cudaErrorInvalidValue else.
[[nodiscard]] cudaError_t conv_simt(const OpParams& p, ElementType type, Products products,
                                    cudaStream_t stream);

/// groups == in_c == out_c. Weights: (kernel_h, kernel_w, padded(out_c)) float32.
[[nodiscard]] cudaError_t conv_depthwise(const OpParams& p, ElementType type, cudaStream_t stream);

/// out = activation(sum of the splits in p.partial + bias + addend).
[[nodiscard]] cudaError_t finish_split(const OpParams& p, ElementType type, cudaStream_t stream);

// ---- the rest ----

[[nodiscard]] cudaError_t max_pool(const OpParams& p, ElementType type, cudaStream_t stream);
[[nodiscard]] cudaError_t average_pool(const OpParams& p, ElementType type, cudaStream_t stream);
/// out = activation(in * weights[c] + bias[c] + addend), weights float32 (padded(out_c)) or null;
/// `in` doubled by nearest neighbour with p.upsample.
[[nodiscard]] cudaError_t pointwise(const OpParams& p, ElementType type, cudaStream_t stream);

/// (batch, channels, h, w) float32 -> NHWC of T.
[[nodiscard]] cudaError_t from_nchw(const float* in, void* out, int batch, int h, int w,
                                    int channels, ElementType type, cudaStream_t stream);
/// NHWC of T -> (pixels, channels) float32 without padding.
[[nodiscard]] cudaError_t to_float(const void* in, float* out, int pixels, int channels,
                                   ElementType type, cudaStream_t stream);

}  // namespace face::cuda
