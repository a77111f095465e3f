// SPDX-License-Identifier: MIT
// kernels/cpu/conv_plan.h - what the planners (conv_*.cpp) hand to the kernels of one instruction
// set (conv_isa.cpp). Plain data only: this header is compiled with several sets of flags, so an
// inline function here could leak instructions the CPU lacks into the rest of the program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace face::cpu {

enum class EpilogueKind { kClip, kPrelu };

/// What follows the sum: + bias, + addend, activation. Arrays are over all output channels.
/// A ReLU clips to [0, infinity], no activation to [-infinity, infinity].
struct Epilogue {
  const float* bias = nullptr;  // rows of bias_stride floats, or one row if bias_stride is 0
  size_t bias_stride = 0;
  const uint8_t* row_class = nullptr;  // (out_height): bias row 3 * row_class[y] + col_class[x]
  const uint8_t* col_class = nullptr;  // (out_width)
  const float* slopes = nullptr;
  EpilogueKind kind = EpilogueKind::kClip;
  float low = 0.f, high = 0.f;
  const float* addend = nullptr;
  size_t addend_pixel = 0;  // floats from one of its pixels to the next
  bool addend_upsampled = false;
  bool bf16_addend = false;                 // likewise passed as floats; of tiles alone
  bool max_pool = false;                    // 2x2, stride 2, of Winograd's outputs alone
  bool bf16_output = false;                 // the output is a map of bfloat16, passed as floats
  int height = 0, width = 0, channels = 0;  // of one output image, before it is pooled
};

/// Where one output pixel reads its bias and addend: pointers to channel 0. addend may be null.
struct PixelSources {
  const float* bias;
  const float* addend;
};

/// What is multiplied, weights and tiles or windows, are 32-bit words along the depth: one float32
/// channel, or two bfloat16 ones, the first in the lower half; of an odd number of channels the
/// last half is zero. This many words of a Winograd tile lie together.
constexpr int kWinogradDepthBlock = 16;

/// Channels that one task transforms at least.
constexpr int kWinogradChannels = 16;

/// Transforms tiles [tile_begin, tile_end), channels [channel_begin, channel_end) of a stack of
/// images. v: [point][word / 16][tile - tile_origin][word % 16], `tile_capacity` tiles.
/// REQUIRES: channel_begin is a multiple of kWinogradChannels.
struct WinogradInput {
  const float* input = nullptr;  // (images, height, width, channels)
  const float* zeros = nullptr;  // `channels` zeros: the padding
  int height = 0, width = 0, channels = 0;
  int tiles_x = 0, tiles_per_image = 0;
  int tile_origin = 0, tile_begin = 0, tile_end = 0;
  int channel_begin = 0, channel_end = 0;
  int tile_capacity = 0;
  bool bf16_input = false;  // the input is a map of bfloat16, passed as floats
  size_t point_stride = 0;  // words
  float* v = nullptr;
};

/// For each point: m[tile][lane] = sum over depth of v[tile][depth] * u[depth][lane].
/// u: [point][depth][lanes] words, m: [point][tile][lanes] floats; lanes = vectors * width (+ width
/// / 2).
struct WinogradGemm {
  const float* v = nullptr;  // first tile's first channel block
  size_t v_point_stride = 0;
  int tile_capacity = 0;
  int tiles = 0, depth = 0;  // in words
  const float* u = nullptr;
  int vectors = 0;
  bool half = false;
  float* m = nullptr;
  size_t m_point_stride = 0;
};

/// Inverse transform and epilogue of tiles [tile_begin, tile_end) for `channels` output channels
/// from channel_begin on; m: [point][tile - tile_begin][lanes].
struct WinogradOutput {
  const float* m = nullptr;
  size_t point_stride = 0;
  int lanes = 0;
  int tiles_x = 0, tiles_per_image = 0;
  int tile_begin = 0, tile_end = 0;
  int channel_begin = 0, channels = 0;
  float* output = nullptr;
  Epilogue epilogue;
};

struct WinogradKernels {
  void (*input)(const WinogradInput&);
  void (*gemm)(const WinogradGemm&);
  void (*output)(const WinogradOutput&);
};

/// Blocks of output channels that the micro-kernels of a build take.
struct LaneShape {
  int width = 0;        // lanes of a vector
  int max_vectors = 0;  // of a block
  bool half_vectors = false;
};

/// Kernels by the size of their output tiles; of bfloat16 there are none of 6x6.
struct WinogradSet {
  WinogradKernels tile2x2, tile2x4, tile4x4, tile6x6;
};

/// Makes words of `count` runs of `run` floats, one behind the other, and lets `runs` point there.
struct DirectWords {
  const float** runs = nullptr;
  int count = 0, run = 0;
  float* words = nullptr;
};

/// Output pixels [pixel_begin, pixel_begin + pixels) of a stack of images, one block of channels.
/// The window of a pixel is `rows` runs of `run` words: kernel_w * in_channels values each.
struct DirectBlock {
  const float* const* windows = nullptr;  // [row][pixel]: where each run begins
  int rows = 0, run = 0;
  int pixels = 0;
  size_t pixel_begin = 0;
  const PixelSources* sources = nullptr;  // [pixel]; null: the epilogue's bias alone
  const float* weights = nullptr;         // [row][run][lanes]
  int vectors = 0;
  bool half = false;
  int lanes = 0;
  int channel_begin = 0, channels = 0;
  float* sums = nullptr;  // scratch, [pixel][lanes]
  float* output = nullptr;
  Epilogue epilogue;
};

/// Columns [x_begin, x_end) of one row of an image's output; every channel is convolved with its
/// own kernel.
struct DepthwiseRow {
  const float* input = nullptr;  // the image: (in_height, in_width, channels)
  int in_height = 0, in_width = 0;
  int kernel_h = 0, kernel_w = 0, stride = 1, pad_top = 0, pad_left = 0;
  const float* weights = nullptr;  // [kernel_h][kernel_w][channels]
  const float* zeros = nullptr;    // `channels` zeros: the padding
  int image = 0, y = 0;
  int x_begin = 0, x_end = 0;
  float* output = nullptr;  // of column x_begin
  Epilogue epilogue;
};

struct DirectKernels {
  void (*words)(const DirectWords&);
  /// Fills `sources` and returns it; null if every pixel has the epilogue's bias alone.
  const PixelSources* (*sources)(const Epilogue&, size_t pixel_begin, int pixels,
                                 PixelSources* sources);
  void (*block)(const DirectBlock&);
};

/// The kernels of one instruction set and precision. Depthwise convolutions compute in
/// float32 in all of them.
struct ConvKernels {
  LaneShape lanes;
  WinogradSet winograd;
  DirectKernels direct;
  void (*depthwise)(const DepthwiseRow&) = nullptr;
  /// kFmaChains independent chains of `iterations` multiply-adds of words, on full vectors: the
  /// most that a core's arithmetic gives, for benchmarks. Returns a value that depends on all of
  /// them.
  float (*fma_loop)(int iterations) = nullptr;
};
constexpr int kFmaChains = 12;

/// Interpolation points of F(4, 3) besides 0 and infinity: +-kPointA, +-kPointB; F(2, 3) uses 0,
/// +-1 and infinity. These halve the rounding error of the usual 1 and 2, and their squares are
/// exact.
constexpr float kPointA = 0.625f;
constexpr float kPointB = 1.5f;
/// Likewise of F(6, 3).
constexpr float kPoint6A = 0.5f;
constexpr float kPoint6B = 1.f;
constexpr float kPoint6C = 2.f;

const ConvKernels& conv_kernels_baseline();
const ConvKernels& conv_kernels_avx2();
const ConvKernels& conv_kernels_avx512();
const ConvKernels& conv_kernels_wide16();

const ConvKernels& conv_bf16_kernels_baseline();
const ConvKernels& conv_bf16_kernels_avx512bf16();
const ConvKernels& conv_bf16_kernels_wide16();

}  // namespace face::cpu
