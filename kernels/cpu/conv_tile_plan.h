// SPDX-License-Identifier: MIT
// kernels/cpu/conv_tile_plan.h - what conv_tiles.cpp hands to the kernels of a matrix unit
// (conv_isa_tiles.cpp). Plain data only, as in conv_plan.h.
#pragma once

#include "kernels/cpu/conv_plan.h"

namespace face::cpu {

/// What a matrix unit multiplies: tiles of 16 rows of 16 words of two bfloat16 numbers, the pixels'
/// windows in rows, with 16 rows of words of 16 output channels.
constexpr int kTileRows = 16;
constexpr int kTileChannels = 16;
constexpr int kTileDepth = 32;                         // bfloat16 numbers in a row
constexpr int kTileWords = kTileRows * kTileChannels;  // of weights
constexpr int kMostTiles = 4;                          // that are summed at once

/// Rounds `pixels` pixels of `channels` numbers of a map of float32, or copies those of one of
/// bfloat16, `pitch` numbers apart; zeros follow each pixel up there.
struct TileInput {
  const float* input = nullptr;
  size_t begin = 0;  // in numbers, from `input` on
  int pixels = 0, channels = 0, pitch = 0;
  bool bf16_input = false;
  uint16_t* output = nullptr;
  uint16_t* rest = nullptr;  // likewise what rounding left, rounded as well, unless null
};

/// Windows [begin, begin + count) of a band, for one or two tiles of output channels. They lie
/// `step` numbers apart, row after row of row_windows, of which the first row_pixels belong to
/// pixels of the output. A window is `chunks` pieces of kTileDepth numbers, at `depth[chunk]` from
/// its address on; pieces that are longer than what they are to give meet weights of zero there,
/// and have to be readable and finite. Likewise readable are the windows up to a multiple of
/// kTileRows.
struct TileBlock {
  const uint16_t* windows = nullptr;
  size_t step = 0;
  const int* depth = nullptr;
  int chunks = 0;
  int begin = 0, count = 0;
  int row_windows = 0, row_pixels = 0;
  const int* places = nullptr;  // [row] of its first pixel in the output map; negative: no pixels
  const PixelSources* sources = nullptr;  // [window] of a pixel; null: the epilogue's bias alone
  const float* weights = nullptr;         // [tile][chunk][kTileRows][kTileChannels] words
  int tiles = 1;
  int channel_begin = 0, channels = 0;
  float* sums = nullptr;  // scratch: kMostTiles * kTileWords
  float* output = nullptr;
  size_t output_begin = 0, output_step = 0;  // numbers up to place 0, and from place to place
  Epilogue epilogue;
};

/// 2x2 maxima, stride 2, of a row of `width` pixels and the one `row` pixels behind it, in float32,
/// pixels `lanes` numbers apart; the output's begin at output_begin and are output_step apart.
struct TilePool {
  const float* map = nullptr;
  int row = 0, width = 0, lanes = 0, channels = 0;
  float* output = nullptr;
  size_t output_begin = 0, output_step = 0;
  bool bf16_output = false;
};

struct TileKernels {
  void (*input)(const TileInput&);
  /// As DirectKernels::sources.
  const PixelSources* (*sources)(const Epilogue&, size_t pixel_begin, int pixels,
                                 PixelSources* sources);
  /// Around all blocks of a task, on its thread.
  void (*begin)();
  void (*end)();
  void (*block)(const TileBlock&);
  void (*pool)(const TilePool&);
  /// `iterations` times kTileLoopFlop operations on registers: the most that a core's unit gives.
  void (*fma_loop)(int iterations);
};
constexpr double kTileLoopFlop = 2. * kMostTiles * kTileRows * kTileChannels * kTileDepth;

const TileKernels& conv_tile_kernels_baseline();
const TileKernels& conv_tile_kernels_amx();
const TileKernels& conv_tile_kernels_wide16();

}  // namespace face::cpu
