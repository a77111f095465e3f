// SPDX-License-Identifier: MIT
// tests/image/encoders.h - makes the files that the decoders are tested on, with the libraries
// themselves, and a reference for what must come out. Errors end the test program: inputs are ours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace face::test {

using FileBytes = std::vector<uint8_t>;

/// RGB, rows packed.
struct Picture {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
  [[nodiscard]] const uint8_t* at(int x, int y) const {
    return rgb.data() + 3 * (size_t(y) * width + x);
  }
};

/// Smooth, without any symmetry, so that lossy coders keep it and every flip shows.
[[nodiscard]] Picture gradient(int width, int height);

struct JpegOptions {
  enum class Colour { kGray, kRgb, kYcc, kCmyk, kYcck } colour = Colour::kYcc;
  int h = 1, v = 1;  // sampling of the first component; the others have 1 x 1
  bool progressive = false, arithmetic = false, separate_scans = false;
  int restart_rows = 0;
  int quality = 97;
  FileBytes exif = {};  // TIFF bytes for an APP1 segment
};
[[nodiscard]] FileBytes encode_jpeg(const Picture& picture, const JpegOptions& options = {});
/// True if this libjpeg can write arithmetic coding.
[[nodiscard]] bool can_write_arithmetic();

/// Samples are uint16_t of `depth` bits, `channels` per pixel, as the colour type has them.
struct PngOptions {
  int colour_type = 2, depth = 8;
  bool interlaced = false, transparency = false;  // tRNS
  FileBytes exif = {};
  bool exif_last = false;  // after the picture data
};
[[nodiscard]] int png_channels(int colour_type);
[[nodiscard]] FileBytes encode_png(int width, int height, const std::vector<uint16_t>& samples,
                                   const PngOptions& options);
[[nodiscard]] FileBytes encode_png(const Picture& picture, const PngOptions& options = {});
/// Colour of palette entry `i` in palettes that encode_png() writes.
void palette_colour(int i, uint8_t rgb[3]);

struct WebpOptions {
  bool lossless = false, alpha = false;
  FileBytes exif = {};
};
[[nodiscard]] FileBytes encode_webp(const Picture& picture, const WebpOptions& options = {});

/// TIFF bytes with one directory that holds an orientation.
struct ExifOptions {
  bool big_endian = false, as_long = false;
  uint32_t count = 1;
  int other_entries = 0;  // before the orientation
};
[[nodiscard]] FileBytes make_exif(uint32_t orientation, const ExifOptions& options = {});

/// A file header, `header_size` bytes of info header, extra (masks, palette), pixels.
struct BmpParts {
  uint32_t header_size = 40;
  int32_t width = 0, height = 0;
  int depth = 24;
  uint32_t compression = 0, colours = 0;
  FileBytes extra = {}, pixels = {};
};
[[nodiscard]] FileBytes make_bmp(const BmpParts& parts);

}  // namespace face::test
