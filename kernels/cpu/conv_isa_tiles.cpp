// SPDX-License-Identifier: MIT
// kernels/cpu/conv_isa_tiles.cpp - the kernels on a matrix unit; compiled for AMX, and for builds
// that compute the same in software.
#include "kernels/cpu/conv_tile_plan.h"
#include "kernels/cpu/conv_tiles_inl.h"

namespace face::cpu {
namespace FACE_CONV_ISA {
namespace {

void tile_fma_loop(int iterations) {
  constexpr float kZeros[kTileWords] = {};
  TileUnit::begin();
  for_each_tile<8>([&]<int i>() { TileUnit::load<i>(kZeros, kTileRowBytes); });
  for (int k = 0; k < iterations; ++k)
    for_each_tile<kMostTiles>([]<int i>() { TileUnit::multiply_add<i, 4 + i / 2, 6 + i % 2>(); });
  TileUnit::end();
}

}  // namespace
}  // namespace FACE_CONV_ISA

const TileKernels& FACE_CONV_TILE_TABLE() {
  namespace isa = FACE_CONV_ISA;
  static constexpr TileKernels kKernels = {
      &isa::tile_input, &isa::sources_of_pixels, &isa::TileUnit::begin, &isa::TileUnit::end,
      &isa::tile_block, &isa::tile_pool,         &isa::tile_fma_loop};
  return kKernels;
}

}  // namespace face::cpu
