// SPDX-License-Identifier: MIT
// engine/image/webp_header.cpp - the RIFF walk and the header of the one frame.
#include <string>

#include "engine/image/exif.h"
#include "engine/image/headers.h"
#include "engine/image/upright.h"

namespace face::image {
namespace {

constexpr size_t kRiffHeader = 12, kChunkHeader = 8;
constexpr uint8_t kAnimationFlag = 0x02;
constexpr size_t kFixedBytes = size_t{512} << 10;        // decoder structures and constant tables
constexpr size_t kBytesPerMacroblock = size_t{4} << 10;  // lossy: contexts and rows, per column

class Walk {
 public:
  Walk(Bytes bytes, const ImageLimits& limits) : limits_(limits) {
    const uint64_t size = uint64_t{8} + le32(bytes, 4);
    if (bytes.size() < kRiffHeader || size < kRiffHeader) bad_image("WebP", "no chunks");
    if (size > bytes.size()) {
      bad_image("WebP", "truncated: " + std::to_string(size) + " bytes announced, " +
                            std::to_string(bytes.size()) + " are here");
    }
    bytes_ = bytes.first(size);
  }

  ImageInfo run() {
    size_t at = kRiffHeader;
    while (bytes_.size() - at >= kChunkHeader) {
      const size_t length = le32(bytes_, at + 4);
      if (length > bytes_.size() - at - kChunkHeader) bad_image("WebP", "truncated chunk");
      chunk(at, bytes_.subspan(at + kChunkHeader, length));
      at = std::min(bytes_.size(), at + kChunkHeader + length + length % 2);
    }
    if (frame_.empty()) bad_image("WebP", "no picture data");
    info_.decode_bytes = rgb_bytes(info_) + library_bytes();
    if (info_.orientation >= 5) info_.decode_bytes += rgb_bytes(info_);
    return info_;
  }

  [[nodiscard]] Bytes frame() const { return frame_; }

 private:
  void chunk(size_t at, Bytes body) {
    const auto is = [&](const char* name) { return has_at(bytes_, at, {name, 4}); };
    if (is("ANMF") || is("ANIM") || (is("VP8X") && !body.empty() && (body[0] & kAnimationFlag))) {
      unsupported("Animated WebP");
    }
    if (is("EXIF") && !exif_seen_) {
      exif_seen_ = true;
      info_.orientation = exif_orientation(strip_exif_prefix(body));
    }
    if (!frame_.empty() || (!is("VP8 ") && !is("VP8L"))) return;
    is("VP8L") ? lossless(body) : lossy(body);
    frame_ = bytes_.subspan(at, kChunkHeader + body.size());
  }

  void lossy(Bytes body) {
    if (body.size() < 10 || !has_at(body, 3, "\x9d\x01\x2a") || (body[0] & 1) != 0) {
      bad_image("WebP", "broken frame header");
    }
    size(le16(body, 6) & 0x3fff, le16(body, 8) & 0x3fff);
  }

  void lossless(Bytes body) {
    if (body.size() < 5 || body[0] != 0x2f) bad_image("WebP", "broken frame header");
    const uint32_t bits = le32(body, 1);
    lossless_ = true;
    size((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
  }

  void size(uint32_t width, uint32_t height) {
    check_size("WebP", width, height, limits_);
    info_.width = static_cast<int>(width);
    info_.height = static_cast<int>(height);
  }

  /// Lossless pictures are held as 4-byte pixels with three quarter-size transform images; lossy
  /// ones as rows of macroblocks.
  [[nodiscard]] size_t library_bytes() const {
    const size_t pixels = size_t(info_.width) * info_.height;
    if (lossless_) return kFixedBytes + pixels * 5 + size_t(256) * info_.width;
    return kFixedBytes + (size_t(info_.width) / 16 + 2) * kBytesPerMacroblock;
  }

  const ImageLimits& limits_;
  Bytes bytes_;
  ImageInfo info_{.format = ImageFormat::kWebp};
  Bytes frame_;
  bool lossless_ = false, exif_seen_ = false;
};

}  // namespace

ImageInfo probe_webp(Bytes bytes, const ImageLimits& limits) { return Walk(bytes, limits).run(); }

Bytes webp_frame(Bytes bytes, const ImageLimits& limits) {
  Walk walk(bytes, limits);
  (void)walk.run();
  return walk.frame();
}

}  // namespace face::image
