// SPDX-License-Identifier: MIT
// engine/image/bmp_header.cpp - file header, info header, masks, palette.
#include "engine/image/bmp_header.h"

#include <algorithm>
#include <bit>
#include <string>

#include "engine/image/headers.h"

namespace face::image {
namespace {

constexpr size_t kFileHeader = 14;
constexpr size_t kCoreHeader = 12, kInfoHeader = 40, kOs2Header = 64;
enum Compression : uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3, kAlphaBitfields = 6 };

BmpField field(uint32_t mask) {
  if (mask == 0) return {};
  const int shift = std::countr_zero(mask);
  return {mask, shift, mask >> shift};
}

class Reader {
 public:
  Reader(Bytes bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

  BmpHeader run() {
    if (bytes_.size() < kFileHeader + 4) truncated();
    header_size_ = le32(bytes_, kFileHeader);
    if (header_size_ != kCoreHeader && (header_size_ < kInfoHeader || header_size_ > 124)) {
      bad_image("BMP", "a header of " + std::to_string(header_size_) + " bytes");
    }
    if (bytes_.size() < kFileHeader + header_size_) truncated();
    header_size_ == kCoreHeader ? core() : info();
    check_size("BMP", h_.width, h_.height, limits_);
    coding();
    pixels();
    return h_;
  }

 private:
  [[noreturn]] static void truncated() { bad_image("BMP", "truncated"); }
  [[nodiscard]] uint32_t at16(size_t at) const { return le16(bytes_, kFileHeader + at); }
  [[nodiscard]] uint32_t at32(size_t at) const { return le32(bytes_, kFileHeader + at); }

  void core() {
    h_.width = static_cast<int>(at16(4));
    h_.height = static_cast<int>(at16(6));
    h_.depth = static_cast<int>(at16(10));
    h_.palette_step = 3;
  }

  void info() {
    const int64_t height = static_cast<int32_t>(at32(8));
    check_size("BMP", static_cast<int32_t>(at32(4)), height < 0 ? -height : height, limits_);
    h_.width = static_cast<int>(at32(4));
    h_.height = static_cast<int>(height < 0 ? -height : height);
    h_.top_down = height < 0;
    h_.depth = static_cast<int>(at16(14));
    compression_ = at32(16);
    colours_ = at32(32);
  }

  void coding() {
    const bool os2 = header_size_ == kOs2Header;
    const bool fields = !os2 && (compression_ == kBitfields || compression_ == kAlphaBitfields);
    const int depth = h_.depth;
    if (depth != 1 && depth != 4 && depth != 8 && depth != 16 && depth != 24 && depth != 32) {
      unsupported("BMP with " + std::to_string(depth) + " bits per pixel");
    }
    if (compression_ == kRle8 && depth == 8) {
      h_.coding = BmpHeader::Coding::kRle8;
    } else if (compression_ == kRle4 && depth == 4) {
      h_.coding = BmpHeader::Coding::kRle4;
    } else if (compression_ != kRgb && !(fields && (depth == 16 || depth == 32))) {
      unsupported("BMP with compression " + std::to_string(compression_) + " at " +
                  std::to_string(depth) + " bits");
    }
    if (depth == 16 || depth == 32) masks(fields);
  }

  void masks(bool stored) {
    uint32_t mask[3] = {0xff0000, 0xff00, 0xff};
    if (h_.depth == 16) mask[0] = 0x7c00, mask[1] = 0x3e0, mask[2] = 0x1f;
    if (stored) {
      if (header_size_ == kInfoHeader) masks_size_ = compression_ == kBitfields ? 12 : 16;
      if (bytes_.size() < kFileHeader + kInfoHeader + 12) truncated();
      for (size_t i = 0; i < 3; ++i) mask[i] = at32(kInfoHeader + 4 * i);
    }
    for (size_t i = 0; i < 3; ++i) h_.fields[i] = field(mask[i]);
  }

  void pixels() {
    const size_t offset = le32(bytes_, 10);
    const size_t headers = kFileHeader + header_size_ + masks_size_;
    if (offset < headers) bad_image("BMP", "pixels inside the header");
    if (offset > bytes_.size()) truncated();
    if (h_.depth <= 8) {
      size_t count = size_t{1} << h_.depth;
      if (colours_ != 0) count = std::min<size_t>(count, colours_);
      count = std::min(count, (offset - headers) / h_.palette_step);
      if (count == 0) bad_image("BMP", "no palette");
      h_.palette = bytes_.subspan(headers, count * h_.palette_step);
    }
    h_.pixels = bytes_.subspan(offset);
    h_.stride = (size_t(h_.width) * h_.depth + 31) / 32 * 4;
    // Writers leave out the padding of the last row.
    const size_t last = (size_t(h_.width) * h_.depth + 7) / 8;
    if (h_.coding == BmpHeader::Coding::kRows &&
        h_.pixels.size() < h_.stride * (h_.height - 1) + last) {
      truncated();
    }
  }

  Bytes bytes_;
  const ImageLimits& limits_;
  size_t header_size_ = 0, masks_size_ = 0;
  uint32_t compression_ = kRgb, colours_ = 0;
  BmpHeader h_;
};

}  // namespace

BmpHeader read_bmp_header(Bytes bytes, const ImageLimits& limits) {
  return Reader(bytes, limits).run();
}

ImageInfo probe_bmp(Bytes bytes, const ImageLimits& limits) {
  const BmpHeader header = read_bmp_header(bytes, limits);
  ImageInfo info{.format = ImageFormat::kBmp, .width = header.width, .height = header.height};
  info.decode_bytes = rgb_bytes(info) + 64;  // what an allocator rounds up to
  return info;
}

}  // namespace face::image
