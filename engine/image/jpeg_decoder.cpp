// SPDX-License-Identifier: MIT
// engine/image/jpeg_decoder.cpp - rows of a JPEG into the upright picture.
#include <algorithm>
#include <memory>
#include <string>

#include "engine/error.h"
#include "engine/image/headers.h"
#include "engine/image/jpeg_reader.h"
#include "engine/image/upright.h"
#include "kernels/math/ycc420.h"

namespace face::image {
namespace {

[[noreturn]] void fail(const JpegReader& reader, const ImageInfo& info, const ImageLimits& limits) {
  switch (reader.failure()) {
    case JpegReader::Failure::kScans:
      too_large("The JPEG has more than " + std::to_string(limits.max_scans) + " scans, the limit");
    case JpegReader::Failure::kWarnings:
      too_large("The JPEG is broken in more than " + std::to_string(limits.max_warnings) +
                " places, the limit: " + reader.message());
    case JpegReader::Failure::kTime:
      too_slow(info, limits);
    case JpegReader::Failure::kMemory:
      throw Error(ErrorKind::kBusy, "out of memory for a JPEG");
    default:
      bad_image("JPEG", reader.message());
  }
}

/// CMYK as Adobe writes it and libjpeg delivers it: 0 is full ink. As OpenCV's converter, bit by
/// bit.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int k = cmyk[3];
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(k - (((255 - cmyk[c]) * k) >> 8));
  }
}

/// Gives the reader places for rows, and turns what it filled into upright RGB.
class RowTarget {
 public:
  RowTarget(const ImageInfo& info, bool cmyk, const ImageTarget& target)
      : rows_(info, target.memory), width_(info.width) {
    if (!cmyk) return;
    cmyk_.reset(new (std::nothrow) uint8_t[size_t(4) * width_ * kStripRows]);
    if (!cmyk_) throw Error(ErrorKind::kBusy, "out of memory for a JPEG");
  }
  uint8_t* place(int y, int i) {
    return cmyk_ ? cmyk_.get() + size_t(4) * width_ * i : rows_.row(y + i);
  }
  void commit(int y, int count) {
    for (int i = 0; cmyk_ && i < count; ++i) cmyk_to_rgb(place(y, i), rows_.row(y + i), width_);
    rows_.commit(count);
  }
  Image take() { return rows_.take(); }

 private:
  UprightRows rows_;
  int width_;
  std::unique_ptr<uint8_t[]> cmyk_;
};

/// Planes, one row of whole blocks of 16 x 16 pixels after the other.
Image read_planes(JpegReader& reader, const ImageInfo& info, const ImageLimits& limits,
                  const ImageTarget& target) {
  constexpr int kRows = JpegReader::kPlaneRows;
  Image image = Image::planes(info, target.memory);
  const Ycc420 planes = ycc420(image.view());
  uint8_t* luma = image.data();
  uint8_t* cb = luma + (planes.cb - planes.luma);
  uint8_t* cr = luma + (planes.cr - planes.luma);
  for (int y = 0; y < info.height; y += kRows) {
    uint8_t* rows[2 * kRows];
    for (int i = 0; i < kRows; ++i) rows[i] = luma + planes.stride * (y + i);
    for (int i = 0; i < kRows / 2; ++i) {
      const size_t at = planes.stride / 2 * (y / 2 + i);
      rows[kRows + i] = cb + at;
      rows[kRows * 3 / 2 + i] = cr + at;
    }
    if (!reader.read_planes(rows, rows + kRows, rows + kRows * 3 / 2)) fail(reader, info, limits);
  }
  if (!reader.finish()) fail(reader, info, limits);
  return image;
}

}  // namespace

Image decode_jpeg(Bytes bytes, const ImageInfo& info, const ImageLimits& limits,
                  const ImageTarget& target) {
  JpegReader reader(bytes, limits, info.decode_bytes);
  const bool planes = target.planes && ycc420_bytes(info.width, info.height) <= rgb_bytes(info);
  if (!reader.start(planes)) fail(reader, info, limits);
  if (reader.width() != info.width || reader.height() != info.height) {
    bad_image("JPEG", "two sizes in one file");
  }
  if (reader.gives_planes()) return read_planes(reader, info, limits, target);
  RowTarget out(info, reader.is_cmyk(), target);
  for (int y = 0; y < info.height;) {
    const int wanted = std::min(kStripRows, info.height - y);
    uint8_t* rows[kStripRows];
    for (int i = 0; i < wanted; ++i) rows[i] = out.place(y, i);
    int done = 0;
    while (done < wanted) {
      if (!reader.read(rows + done, wanted - done, done)) fail(reader, info, limits);
    }
    out.commit(y, wanted);
    y += wanted;
  }
  if (!reader.finish()) fail(reader, info, limits);
  return out.take();
}

}  // namespace face::image
