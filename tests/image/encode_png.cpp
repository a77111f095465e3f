// SPDX-License-Identifier: MIT
// tests/image/encode_png.cpp - all colour types and depths that libpng can write.
#include <png.h>

#include <cstdlib>

#include "tests/image/encoders.h"

namespace face::test {
namespace {

void on_write(png_structp png, png_bytep from, size_t count) {
  auto& out = *static_cast<FileBytes*>(png_get_io_ptr(png));
  out.insert(out.end(), from, from + count);
}

/// Samples of one row, packed to `depth` bits, most significant first.
FileBytes pack(const uint16_t* samples, int count, int depth) {
  FileBytes row((size_t(count) * depth + 7) / 8);
  for (int i = 0; i < count; ++i) {
    if (depth == 16) {
      row[size_t(i) * 2] = static_cast<uint8_t>(samples[i] >> 8);
      row[size_t(i) * 2 + 1] = static_cast<uint8_t>(samples[i]);
    } else {
      const int bit = i * depth;
      row[bit / 8] |= static_cast<uint8_t>(samples[i] << (8 - depth - bit % 8));
    }
  }
  return row;
}

void write_colours(png_structp png, png_infop info, const PngOptions& o) {
  png_byte alpha[2] = {0, 128};
  if (o.colour_type == PNG_COLOR_TYPE_PALETTE) {
    png_color colours[256];
    for (int i = 0; i < 1 << o.depth; ++i) palette_colour(i, &colours[i].red);
    png_set_PLTE(png, info, colours, 1 << o.depth);
    if (o.transparency) png_set_tRNS(png, info, alpha, 2, nullptr);
  } else if (o.transparency) {
    png_color_16 clear{};
    clear.red = clear.green = clear.blue = clear.gray = 1;
    png_set_tRNS(png, info, nullptr, 0, &clear);
  }
}

}  // namespace

int png_channels(int colour_type) {
  switch (colour_type) {
    case PNG_COLOR_TYPE_RGB:
      return 3;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return 2;
    case PNG_COLOR_TYPE_RGB_ALPHA:
      return 4;
    default:
      return 1;
  }
}

void palette_colour(int i, uint8_t rgb[3]) {
  rgb[0] = static_cast<uint8_t>(i * 37 + 11);
  rgb[1] = static_cast<uint8_t>(255 - i);
  rgb[2] = static_cast<uint8_t>(i * 101);
}

FileBytes encode_png(int width, int height, const std::vector<uint16_t>& samples,
                     const PngOptions& o) {
  FileBytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) std::abort();
  png_set_write_fn(png, &out, on_write, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               o.depth, o.colour_type, o.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  write_colours(png, info, o);
  png_write_info(png, info);
  if (!o.exif.empty() && !o.exif_last) {
    png_write_chunk(png, reinterpret_cast<png_const_bytep>("eXIf"), o.exif.data(), o.exif.size());
  }
  const int per_row = width * png_channels(o.colour_type);
  const int passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) {
      png_write_row(png, pack(samples.data() + size_t(y) * per_row, per_row, o.depth).data());
    }
  }
  if (!o.exif.empty() && o.exif_last) {
    png_write_chunk(png, reinterpret_cast<png_const_bytep>("eXIf"), o.exif.data(), o.exif.size());
  }
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

FileBytes encode_png(const Picture& picture, const PngOptions& options) {
  const std::vector<uint16_t> samples(picture.rgb.begin(), picture.rgb.end());
  return encode_png(picture.width, picture.height, samples, options);
}

}  // namespace face::test
