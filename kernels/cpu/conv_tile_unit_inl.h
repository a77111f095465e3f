// SPDX-License-Identifier: MIT
// kernels/cpu/conv_tile_unit_inl.h - a core's matrix unit (AMX): eight registers, each a tile of 16
// rows of 64 bytes. Builds without it compute the same in software.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/conv_simd.h"
#include "kernels/cpu/conv_tile_plan.h"

namespace face::cpu::FACE_CONV_ISA {

constexpr int kTileRowBytes = 64;

#ifdef FACE_CONV_AMX
/// Registers are the thread's own. In assembly, because the compiler's intrinsics want literals for
/// registers. Between begin() and end() alone.
struct TileUnit {
  static void begin() {
    struct alignas(64) Config {
      uint8_t palette = 1, start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) {
      config.row_bytes[i] = kTileRowBytes;
      config.rows[i] = kTileRows;
    }
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  static void end() { asm volatile("tilerelease"); }

  template <int kTile>
  static FACE_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  /// Rows begin `row_bytes` apart.
  template <int kTile>
  static FACE_INLINE void load(const void* from, size_t row_bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(row_bytes), "i"(kTile)
                 : "memory");
  }
  template <int kTile>
  static FACE_INLINE void store(void* to, size_t row_bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(row_bytes), "i"(kTile) : "memory");
  }
  /// sums(row, column) += the products of both halves of a's (row, k) with those of b's (k,
  /// column), for all k.
  template <int kSums, int kA, int kB>
  static FACE_INLINE void multiply_add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kA), "i"(kB));
  }
};
#else
struct TileUnit {
  struct Tile {
    alignas(64) uint32_t words[kTileRows][kTileRowBytes / 4];
  };
  static Tile& tile(int index) {
    static thread_local Tile tiles[8];
    return tiles[index];
  }

  static void begin() {}
  static void end() {}
  template <int kTile>
  static void zero() {
    tile(kTile) = {};
  }
  template <int kTile>
  static void load(const void* from, size_t row_bytes) {
    Tile& t = tile(kTile);
    for (int row = 0; row < kTileRows; ++row)
      std::memcpy(t.words[row], static_cast<const char*>(from) + row * row_bytes, kTileRowBytes);
  }
  template <int kTile>
  static void store(void* to, size_t row_bytes) {
    const Tile& t = tile(kTile);
    for (int row = 0; row < kTileRows; ++row)
      std::memcpy(static_cast<char*>(to) + row * row_bytes, t.words[row], kTileRowBytes);
  }
  template <int kSums, int kA, int kB>
  static void multiply_add() {
    const auto number = [](uint32_t bits) { return __builtin_bit_cast(float, bits); };
    Tile& sums = tile(kSums);
    for (int row = 0; row < kTileRows; ++row) {
      for (int k = 0; k < kTileRowBytes / 4; ++k) {
        const uint32_t a = tile(kA).words[row][k];
        for (int column = 0; column < kTileChannels; ++column) {
          const uint32_t b = tile(kB).words[k][column];
          float sum = number(sums.words[row][column]);
          sum += number(a << 16) * number(b << 16);
          sum += number(a & 0xffff0000u) * number(b & 0xffff0000u);
          sums.words[row][column] = __builtin_bit_cast(uint32_t, sum);
        }
      }
    }
  }
};
#endif

}  // namespace face::cpu::FACE_CONV_ISA
