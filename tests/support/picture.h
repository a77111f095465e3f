// SPDX-License-Identifier: MIT
// tests/support/picture.h - pictures made by a formula, and a checksum to compare pixels by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/math/types.h"
#include "tests/support/guarded.h"

namespace face::test {

/// Channel c of pixel (y, x): noise that any language with 32-bit integers reproduces.
inline uint8_t picture_value(uint32_t seed, uint32_t y, uint32_t x, uint32_t c) {
  uint32_t h = (x * 73856093u) ^ (y * 19349663u) ^ (c * 83492791u) ^ (seed * 2654435761u);
  h ^= h >> 13;
  h *= 0x5bd1e995u;
  return static_cast<uint8_t>((h ^ (h >> 15)) & 255u);
}

/// A picture of picture_value() whose first or last byte lies beside memory that faults.
class Picture {
 public:
  Picture(int width, int height, uint32_t seed = 1, Guard guard = Guard::kAfter)
      : width_(width), height_(height), memory_((bytes() + 3) / 4, guard) {
    data_ = reinterpret_cast<uint8_t*>(guard == Guard::kAfter ? memory_.end() : memory_.begin());
    if (guard == Guard::kAfter) data_ -= bytes();
    uint8_t* p = data_;
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c) *p++ = picture_value(seed, y, x, c);
  }

  [[nodiscard]] size_t bytes() const { return size_t(3) * width_ * height_; }
  [[nodiscard]] uint8_t* data() { return data_; }
  [[nodiscard]] ImageView view() const { return {data_, width_, height_, size_t(3) * width_}; }

 private:
  int width_, height_;
  GuardedFloats memory_;
  uint8_t* data_ = nullptr;
};

/// CRC-32 (zlib's), bit by bit.
inline uint32_t checksum(std::span<const uint8_t> bytes) {
  uint32_t crc = 0xffffffffu;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

}  // namespace face::test
