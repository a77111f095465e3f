// SPDX-License-Identifier: MIT
// engine/image/probe.cpp - size limits and the walk that fits the signature.
#include <string>

#include "engine/error.h"
#include "engine/image/headers.h"
#include "engine/image/signature.h"

namespace face {

const char* to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kWebp:
      return "WebP";
    case ImageFormat::kBmp:
      return "BMP";
  }
  return "unknown";
}

ImageInfo probe_image(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    image::too_large("The file has " + std::to_string(bytes.size()) + " bytes, the limit is " +
                     std::to_string(limits.max_bytes));
  }
  switch (image::sniff(bytes)) {
    case ImageFormat::kJpeg:
      return image::probe_jpeg(bytes, limits);
    case ImageFormat::kPng:
      return image::probe_png(bytes, limits);
    case ImageFormat::kWebp:
      return image::probe_webp(bytes, limits);
    case ImageFormat::kBmp:
      return image::probe_bmp(bytes, limits);
  }
  throw Error(ErrorKind::kInternal, "probe_image: unknown format");
}

namespace image {

void bad_image(const char* format, const std::string& what) {
  throw Error(ErrorKind::kBadImage, std::string("Invalid ") + format + ": " + what);
}

void unsupported(const std::string& what) {
  throw Error(ErrorKind::kUnsupportedFormat, what + " is not supported");
}

void too_large(const std::string& what) { throw Error(ErrorKind::kTooLarge, what); }

void check_size(const char* format, int64_t width, int64_t height, const ImageLimits& limits) {
  const auto size = [&] { return std::to_string(width) + " x " + std::to_string(height); };
  if (width < 1 || height < 1) bad_image(format, "the picture is " + size() + " pixels");
  if (width > limits.max_side || height > limits.max_side) {
    too_large("The picture is " + size() + " pixels, the limit per side is " +
              std::to_string(limits.max_side));
  }
  const uint64_t pixels = static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
  if (pixels > limits.max_pixels) {
    too_large("The picture is " + size() + " = " + std::to_string(pixels) +
              " pixels, the limit is " + std::to_string(limits.max_pixels));
  }
}

size_t rgb_bytes(const ImageInfo& info) { return size_t{3} * info.width * info.height; }

}  // namespace image
}  // namespace face
