// SPDX-License-Identifier: MIT
// engine/image/bmp_decoder.cpp - our own reader: stb_image's gives OS/2 pictures the wrong colours
// and has no RLE; a format without entropy coding needs no library.
#include <algorithm>
#include <cstring>

#include "engine/image/bmp_header.h"
#include "engine/image/decoders.h"
#include "engine/image/headers.h"

namespace face::image {
namespace {

/// `value` of 0 .. field.max as 0 .. 255, rounded; 0 for a colour without bits.
uint8_t scale(uint32_t pixel, const BmpField& field) {
  if (field.max == 0) return 0;
  const uint64_t value = (pixel & field.mask) >> field.shift;
  return static_cast<uint8_t>((value * 255 + field.max / 2) / field.max);
}

class BmpDecoder {
 public:
  BmpDecoder(const BmpHeader& header, const ImageInfo& info, const ImageLimits& limits)
      : h_(header),
        info_(info),
        limits_(limits),
        deadline_(limits.deadline),
        image_(header.width, header.height) {
    for (size_t i = 0; i * h_.palette_step < h_.palette.size(); ++i) {
      const uint8_t* bgr = h_.palette.data() + i * h_.palette_step;
      for (int c = 0; c < 3; ++c) colours_[i][c] = bgr[2 - c];
    }
  }

  Image run() {
    if (h_.coding != BmpHeader::Coding::kRows) {
      run_lengths();
    } else {
      for (int y = 0; y < h_.height; ++y) {
        row(h_.pixels.data() + h_.stride * y, target(y));
        if (y % 64 == 0) check_time();
      }
    }
    return std::move(image_);
  }

 private:
  uint8_t* target(int y) { return image_.row(h_.top_down ? y : h_.height - 1 - y); }

  void check_time() const {
    if (deadline_.passed()) too_slow(info_, limits_);
  }

  void row(const uint8_t* from, uint8_t* to) {
    if (h_.depth <= 8) return indices(from, to);
    if (h_.depth == 24) return swap_channels(from, to);
    const size_t step = h_.depth / 8;
    for (int x = 0; x < h_.width; ++x, from += step, to += 3) {
      const Bytes bytes(from, step);
      const uint32_t pixel = step == 2 ? le16(bytes, 0) : le32(bytes, 0);
      for (int c = 0; c < 3; ++c) to[c] = scale(pixel, h_.fields[c]);
    }
  }

  void swap_channels(const uint8_t* from, uint8_t* to) const {
    for (int x = 0; x < h_.width; ++x, from += 3, to += 3) {
      to[0] = from[2];
      to[1] = from[1];
      to[2] = from[0];
    }
  }

  void indices(const uint8_t* from, uint8_t* to) const {
    const int per_byte = 8 / h_.depth, mask = (1 << h_.depth) - 1;
    for (int x = 0; x < h_.width; ++x, to += 3) {
      const int shift = 8 - h_.depth * (x % per_byte + 1);
      std::memcpy(to, colours_[from[x / per_byte] >> shift & mask], 3);
    }
  }

  // Run lengths: pairs (count, colours), or 0 and a command. Pixels that are skipped keep colour 0.
  void run_lengths() {
    for (int y = 0; y < h_.height; ++y) {
      uint8_t* to = target(y);
      for (int x = 0; x < h_.width; ++x) std::memcpy(to + size_t(3) * x, colours_[0], 3);
    }
    for (size_t steps = 0; y_ < h_.height; ++steps) {
      if (steps % 4096 == 0) check_time();
      const int count = next(), value = next();
      if (count > 0) {
        for (int i = 0; i < count; ++i) put(nibbles() ? value >> (i % 2 ? 0 : 4) & 15 : value);
      } else if (!command(value)) {
        return;
      }
    }
  }

  /// False at the end of the bitmap.
  bool command(int code) {
    switch (code) {
      case 0:
        x_ = 0, ++y_;
        return true;
      case 1:
        return false;
      case 2:
        x_ += next(), y_ += next();
        return true;
      default:
        literal(code);
        return true;
    }
  }

  void literal(int count) {
    const int bytes = nibbles() ? (count + 1) / 2 : count;
    int value = 0;
    for (int i = 0; i < count; ++i) {
      if (!nibbles() || i % 2 == 0) value = next();
      put(nibbles() ? value >> (i % 2 ? 0 : 4) & 15 : value);
    }
    if (bytes % 2 != 0) next();
  }

  [[nodiscard]] bool nibbles() const { return h_.coding == BmpHeader::Coding::kRle4; }

  int next() {
    if (at_ >= h_.pixels.size()) bad_image("BMP", "truncated in row " + std::to_string(y_));
    return h_.pixels[at_++];
  }

  void put(int index) {
    if (x_ < h_.width && y_ < h_.height) {
      std::memcpy(target(y_) + size_t(3) * x_, colours_[index], 3);
    }
    ++x_;
  }

  const BmpHeader& h_;
  const ImageInfo& info_;
  const ImageLimits& limits_;
  const Deadline deadline_;
  Image image_;
  uint8_t colours_[256][3] = {};
  size_t at_ = 0;
  int x_ = 0, y_ = 0;
};

}  // namespace

Image decode_bmp(Bytes bytes, const ImageInfo& info, const ImageLimits& limits) {
  const BmpHeader header = read_bmp_header(bytes, limits);
  return BmpDecoder(header, info, limits).run();
}

}  // namespace face::image
