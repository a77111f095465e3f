// SPDX-License-Identifier: MIT
// engine/image/decode.cpp - the decoder that fits the probe.
#include <new>
#include <string>

#include "engine/error.h"
#include "engine/image/decoders.h"
#include "engine/image/headers.h"

namespace face {
namespace {

Image decode(std::span<const uint8_t> bytes, const ImageInfo& info, const ImageLimits& limits,
             const ImageTarget& target) {
  switch (info.format) {
    case ImageFormat::kJpeg:
      return image::decode_jpeg(bytes, info, limits, target);
    case ImageFormat::kPng:
      return image::decode_png(bytes, info, limits, target);
    case ImageFormat::kWebp:
      return image::decode_webp(bytes, info, limits);
    case ImageFormat::kBmp:
      return image::decode_bmp(bytes, info, limits);
  }
  throw Error(ErrorKind::kInternal, "decode_image: unknown format");
}

}  // namespace

Image decode_image(std::span<const uint8_t> bytes, const ImageInfo& info, const ImageLimits& limits,
                   const ImageTarget& target) {
  try {
    return decode(bytes, info, limits, target);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kBusy, "out of memory for a picture");
  }
}

namespace image {

void too_slow(const ImageInfo& info, const ImageLimits& limits) {
  too_large(std::string("The ") + to_string(info.format) + " takes longer to decode than " +
            std::to_string(limits.deadline.count()) + " ms, the limit");
}

}  // namespace image
}  // namespace face
