// SPDX-License-Identifier: MIT
// engine/image/jpeg_header.cpp - the marker walk. Skips what libjpeg skips (bytes between segments,
// fill bytes), so that both see the same frame.
#include <algorithm>
#include <string>

#include "engine/image/exif.h"
#include "engine/image/headers.h"
#include "engine/image/upright.h"

namespace face::image {
namespace {

constexpr int kEndOfBytes = -1;
constexpr uint8_t kSoi = 0xd8, kEoi = 0xd9, kSos = 0xda, kApp1 = 0xe1, kTem = 0x01;
constexpr size_t kFixedBytes = size_t{512} << 10;  // tables and small pools of the library

struct Component {
  int h = 0, v = 0;
};

struct Frame {
  int marker = 0;  // 0: none seen
  int components = 0;
  int max_h = 1, max_v = 1;
  Component component[4];
};

bool is_standalone(int marker) {
  return marker == kTem || (marker >= 0xd0 && marker <= 0xd7);  // TEM, RST0..7
}

bool is_frame(int m) { return m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc; }

void require_supported_frame(int marker) {
  switch (marker) {
    case 0xc0:
    case 0xc1:
    case 0xc2:
    case 0xc9:
    case 0xca:
      return;
    case 0xc3:
    case 0xcb:
      unsupported("Lossless JPEG");
    default:
      unsupported("Hierarchical JPEG");
  }
}

class Walk {
 public:
  Walk(Bytes bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

  ImageInfo run() {
    for (;;) {
      const int marker = next_marker();
      if (marker == kEndOfBytes) truncated();
      if (marker == kEoi) {
        if (scans_ == 0) bad_image("JPEG", "no picture data before the end marker");
        break;
      }
      if (is_standalone(marker)) continue;
      if (marker == kSoi) bad_image("JPEG", "a second start marker");
      segment(marker);
      if (scans_ > 0 && !several_scans_) break;
    }
    info_.decode_bytes = rgb_bytes(info_) + upright_extra_bytes(info_) + library_bytes();
    return info_;
  }

 private:
  [[noreturn]] static void truncated() {
    bad_image("JPEG", "truncated: the file ends before the picture data");
  }

  /// Moves behind the next marker and returns its code.
  int next_marker() {
    while (at_ < bytes_.size()) {
      const auto* found =
          static_cast<const uint8_t*>(std::memchr(bytes_.data() + at_, 0xff, bytes_.size() - at_));
      if (found == nullptr) break;
      at_ = static_cast<size_t>(found - bytes_.data());
      while (at_ < bytes_.size() && bytes_[at_] == 0xff) ++at_;  // fill bytes
      if (at_ < bytes_.size() && bytes_[at_++] != 0) return bytes_[at_ - 1];
    }
    at_ = bytes_.size();
    return kEndOfBytes;
  }

  void segment(int marker) {
    if (bytes_.size() - at_ < 2) truncated();
    const size_t length = be16(bytes_, at_);
    if (length < 2) bad_image("JPEG", "a segment of length " + std::to_string(length));
    if (length > bytes_.size() - at_) truncated();
    const Bytes body = bytes_.subspan(at_ + 2, length - 2);
    at_ += length;
    if (marker == kApp1) application1(body);
    if (marker == kSos) scan(body);
    if (marker == 0xf7) unsupported("JPEG-LS");
    if (is_frame(marker)) frame(marker, body);
  }

  void application1(Bytes body) {
    if (exif_seen_ || scans_ > 0 || !has_at(body, 0, {"Exif\0\0", 6})) return;
    exif_seen_ = true;
    info_.orientation = exif_orientation(strip_exif_prefix(body));
  }

  void frame(int marker, Bytes body) {
    require_supported_frame(marker);
    if (frame_.marker != 0) bad_image("JPEG", "two frame headers");
    if (body.size() < 6) bad_image("JPEG", "frame header too short");
    const int precision = body[0];
    frame_.marker = marker;
    frame_.components = body[5];
    if (body.size() != 6 + size_t{3} * frame_.components) {
      bad_image("JPEG", "frame header of the wrong length");
    }
    if (precision != 8) unsupported("JPEG with " + std::to_string(precision) + " bits per sample");
    info_.height = static_cast<int>(be16(body, 1));
    info_.width = static_cast<int>(be16(body, 3));
    check_size("JPEG", info_.width, info_.height, limits_);
    components(body.subspan(6));
    info_.progressive = marker == 0xc2 || marker == 0xca;
  }

  void components(Bytes body) {
    const int n = frame_.components;
    if (n != 1 && n != 3 && n != 4) unsupported("JPEG with " + std::to_string(n) + " components");
    for (int i = 0; i < n; ++i) {
      Component& c = frame_.component[i];
      c = {body[size_t(i) * 3 + 1] >> 4, body[size_t(i) * 3 + 1] & 15};
      if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4)
        bad_image("JPEG", "sampling factors outside 1..4");
      frame_.max_h = std::max(frame_.max_h, c.h);
      frame_.max_v = std::max(frame_.max_v, c.v);
    }
  }

  void scan(Bytes body) {
    if (frame_.marker == 0) bad_image("JPEG", "picture data before the frame header");
    if (body.empty()) bad_image("JPEG", "scan header too short");
    ++scans_;
    if (scans_ == 1) several_scans_ = info_.progressive || body[0] < frame_.components;
    if (scans_ == 1 && several_scans_) check_coefficients();
    if (scans_ > limits_.max_scans) {
      too_large("The JPEG has more than " + std::to_string(limits_.max_scans) +
                " scans, the limit");
    }
  }

  void check_coefficients() const {
    const uint64_t pixels = uint64_t(info_.width) * uint64_t(info_.height);
    if (pixels > limits_.max_progressive_pixels) {
      too_large("The progressive JPEG is " + std::to_string(info_.width) + " x " +
                std::to_string(info_.height) + " = " + std::to_string(pixels) +
                " pixels, the limit is " + std::to_string(limits_.max_progressive_pixels));
    }
  }

  /// What libjpeg-turbo takes: rows of context, upsampled rows, and all coefficients of pictures
  /// with several scans, each rounded up to whole blocks of the interleaved layout.
  [[nodiscard]] size_t library_bytes() const {
    const auto blocks = [](int side, int factor, int max) {  // rounded up to the interleaved grid
      return size_t(factor) * ((size_t(side) + size_t(8) * max - 1) / (size_t(8) * max));
    };
    size_t total = kFixedBytes;
    for (int i = 0; i < frame_.components; ++i) {
      const Component& c = frame_.component[i];
      const size_t wide = blocks(info_.width, c.h, frame_.max_h);
      const size_t high = blocks(info_.height, c.v, frame_.max_v);
      total += (wide * 8 + 64) * 10 * c.v;  // context rows
      total += (size_t(info_.width) + size_t(8) * frame_.max_h + 64) * frame_.max_v;  // upsampled
      if (several_scans_) total += high * (wide * 128 + 64) + 4096;
    }
    if (frame_.components == 4) total += size_t(4) * info_.width * kStripRows;  // CMYK rows
    return total;
  }

  Bytes bytes_;
  const ImageLimits& limits_;
  size_t at_ = 2;
  ImageInfo info_{.format = ImageFormat::kJpeg};
  Frame frame_;
  int scans_ = 0;
  bool several_scans_ = false;
  bool exif_seen_ = false;
};

}  // namespace

ImageInfo probe_jpeg(Bytes bytes, const ImageLimits& limits) { return Walk(bytes, limits).run(); }

}  // namespace face::image
