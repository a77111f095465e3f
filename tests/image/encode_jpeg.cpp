// SPDX-License-Identifier: MIT
// tests/image/encode_jpeg.cpp - all kinds of JPEG that libjpeg can write.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include <cstdlib>

#include "tests/image/encoders.h"

namespace face::test {
namespace {

using Colour = JpegOptions::Colour;

J_COLOR_SPACE input_space(Colour colour) {
  switch (colour) {
    case Colour::kGray:
      return JCS_GRAYSCALE;
    case Colour::kCmyk:
    case Colour::kYcck:
      return JCS_CMYK;
    default:
      return JCS_RGB;
  }
}

J_COLOR_SPACE stored_space(Colour colour) {
  switch (colour) {
    case Colour::kGray:
      return JCS_GRAYSCALE;
    case Colour::kRgb:
      return JCS_RGB;
    case Colour::kCmyk:
      return JCS_CMYK;
    case Colour::kYcck:
      return JCS_YCCK;
    default:
      return JCS_YCbCr;
  }
}

/// One row of samples: green for grey; (r, g, b, no black) as Adobe's inverted CMYK.
std::vector<uint8_t> input_row(const Picture& p, int y, Colour colour) {
  std::vector<uint8_t> row;
  for (int x = 0; x < p.width; ++x) {
    const uint8_t* rgb = p.at(x, y);
    if (colour == Colour::kGray) {
      row.push_back(rgb[1]);
      continue;
    }
    row.insert(row.end(), rgb, rgb + 3);
    if (input_space(colour) == JCS_CMYK) row.push_back(255);
  }
  return row;
}

/// One scan per component, in sequential order.
void set_separate_scans(jpeg_compress_struct& c, jpeg_scan_info* scans) {
  for (int i = 0; i < c.num_components; ++i) {
    scans[i] = {1, {i, 0, 0, 0}, 0, 63, 0, 0};
  }
  c.scan_info = scans;
  c.num_scans = c.num_components;
}

void configure(jpeg_compress_struct& c, const JpegOptions& o, jpeg_scan_info* scans) {
  jpeg_set_defaults(&c);
  jpeg_set_colorspace(&c, stored_space(o.colour));
  jpeg_set_quality(&c, o.quality, TRUE);
  c.comp_info[0].h_samp_factor = o.h;
  c.comp_info[0].v_samp_factor = o.v;
  for (int i = 1; i < c.num_components; ++i) {
    const bool full = stored_space(o.colour) == JCS_YCCK && i == 3;
    c.comp_info[i].h_samp_factor = full ? o.h : 1;
    c.comp_info[i].v_samp_factor = full ? o.v : 1;
  }
  c.arith_code = o.arithmetic ? TRUE : FALSE;
  c.restart_in_rows = o.restart_rows;
  if (o.progressive) jpeg_simple_progression(&c);
  if (o.separate_scans) set_separate_scans(c, scans);
}

}  // namespace

bool can_write_arithmetic() {
#ifdef C_ARITH_CODING_SUPPORTED
  return true;
#else
  return false;
#endif
}

FileBytes encode_jpeg(const Picture& picture, const JpegOptions& options) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* file = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&c, &file, &size);
  c.image_width = static_cast<JDIMENSION>(picture.width);
  c.image_height = static_cast<JDIMENSION>(picture.height);
  c.in_color_space = input_space(options.colour);
  c.input_components = c.in_color_space == JCS_GRAYSCALE ? 1 : c.in_color_space == JCS_CMYK ? 4 : 3;
  jpeg_scan_info scans[4];
  configure(c, options, scans);
  jpeg_start_compress(&c, TRUE);
  if (!options.exif.empty()) {
    FileBytes app1 = {'E', 'x', 'i', 'f', 0, 0};
    app1.insert(app1.end(), options.exif.begin(), options.exif.end());
    jpeg_write_marker(&c, JPEG_APP0 + 1, app1.data(), static_cast<unsigned>(app1.size()));
  }
  for (int y = 0; y < picture.height; ++y) {
    std::vector<uint8_t> row = input_row(picture, y, options.colour);
    JSAMPROW rows[1] = {row.data()};
    jpeg_write_scanlines(&c, rows, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  FileBytes out(file, file + size);
  std::free(file);
  return out;
}

}  // namespace face::test
