// SPDX-License-Identifier: MIT
// engine/image/png_header.cpp - the chunk walk.
//
// Decided: an eXIf chunk turns the picture, wherever it stands before IEND; the first one wins.
// OpenCV and browsers do the same.
#include <string>

#include "engine/image/exif.h"
#include "engine/image/headers.h"
#include "engine/image/upright.h"

namespace face::image {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr size_t kChunkFrame = 12;  // length, name, checksum
constexpr uint32_t kMaxChunk = 0x7fffffff;
constexpr size_t kFixedBytes = size_t{448} << 10;  // two inflaters, the library's structures

/// Bit d of entry t is set where colour type t allows d bits per sample.
constexpr uint32_t kDepths[7] = {1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16,
                                 0,
                                 1 << 8 | 1 << 16,
                                 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8,
                                 1 << 8 | 1 << 16,
                                 0,
                                 1 << 8 | 1 << 16};

class Walk {
 public:
  Walk(Bytes bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

  ImageInfo run() {
    bool end = false;
    for (int count = 0; !end; ++count) {
      if (count == limits_.max_png_chunks) {
        too_large("The PNG has more than " + std::to_string(count) + " chunks, the limit");
      }
      end = chunk(count == 0);
    }
    if (!data_seen_) bad_image("PNG", "no picture data");
    const size_t row = size_t(8) * info_.width + 64;  // 16-bit RGBA, before it is reduced
    info_.decode_bytes = rgb_bytes(info_) + 4 * row + kFixedBytes;
    if (info_.progressive && info_.orientation >= 5) info_.decode_bytes += rgb_bytes(info_);
    if (!info_.progressive) info_.decode_bytes += upright_extra_bytes(info_);
    return info_;
  }

 private:
  /// Reads one chunk; true for IEND.
  bool chunk(bool first) {
    const size_t left = bytes_.size() - at_;
    if (left < kChunkFrame) bad_image("PNG", "truncated before its end");
    const size_t length = be32(bytes_, at_);
    const auto is = [&](const char* name) { return has_at(bytes_, at_ + 4, {name, 4}); };
    if (length > kMaxChunk || length > left - kChunkFrame) {
      bad_image("PNG", "truncated: a chunk of " + std::to_string(length) + " bytes, " +
                           std::to_string(left - kChunkFrame) + " are left");
    }
    const Bytes body = bytes_.subspan(at_ + 8, length);
    if (first && is("CgBI")) unsupported("Apple's CgBI variant of PNG");
    if (first != is("IHDR")) bad_image("PNG", first ? "no header chunk" : "two header chunks");
    if (first) header(body);
    if (is("IDAT")) {
      data_seen_ = true;
    } else if (!is("PLTE") && length > limits_.max_png_chunk) {
      too_large("The PNG has a chunk of " + std::to_string(length) + " bytes, the limit is " +
                std::to_string(limits_.max_png_chunk));
    }
    if (is("eXIf") && !exif_seen_) {
      exif_seen_ = true;
      info_.orientation = exif_orientation(strip_exif_prefix(body));
    }
    const bool end = is("IEND");
    at_ += length + kChunkFrame;
    return end;
  }

  void header(Bytes body) {
    if (body.size() != 13) bad_image("PNG", "header chunk of the wrong length");
    check_size("PNG", be32(body, 0), be32(body, 4), limits_);
    info_.width = static_cast<int>(be32(body, 0));
    info_.height = static_cast<int>(be32(body, 4));
    const uint32_t depth = body[8], colour = body[9];
    if (colour > 6 || depth > 16 || (kDepths[colour] >> depth & 1) == 0) {
      bad_image("PNG", "colour type " + std::to_string(colour) + " with " + std::to_string(depth) +
                           " bits");
    }
    if (body[10] != 0 || body[11] != 0 || body[12] > 1) {
      bad_image("PNG", "unknown compression, filter or interlace method");
    }
    info_.progressive = body[12] == 1;
  }

  Bytes bytes_;
  const ImageLimits& limits_;
  size_t at_ = kSignatureBytes;
  ImageInfo info_{.format = ImageFormat::kPng};
  bool data_seen_ = false;
  bool exif_seen_ = false;
};

}  // namespace

ImageInfo probe_png(Bytes bytes, const ImageLimits& limits) { return Walk(bytes, limits).run(); }

}  // namespace face::image
