// SPDX-License-Identifier: MIT
// tests/image/encoders.cpp - pictures, EXIF, WebP and BMP files.
#include "tests/image/encoders.h"

#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace face::test {
namespace {

void put(FileBytes& out, uint32_t value, int bytes, bool big_endian = false) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  }
}

void require(bool good) {
  if (!good) std::abort();
}

}  // namespace

Picture gradient(int width, int height) {
  Picture p{width, height, std::vector<uint8_t>(size_t(3) * width * height)};
  const int w = std::max(width, 96), h = std::max(height, 96);  // never steep
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* to = p.rgb.data() + 3 * (size_t(y) * width + x);
      to[0] = static_cast<uint8_t>(30 + 180 * x / w);
      to[1] = static_cast<uint8_t>(220 - 150 * y / h);
      to[2] = static_cast<uint8_t>(60 + 60 * x / w + 90 * y / h);
    }
  }
  return p;
}

FileBytes make_exif(uint32_t orientation, const ExifOptions& options) {
  const bool big = options.big_endian;
  FileBytes out = big ? FileBytes{'M', 'M'} : FileBytes{'I', 'I'};
  put(out, 42, 2, big);
  put(out, 8, 4, big);
  put(out, static_cast<uint32_t>(options.other_entries) + 1, 2, big);
  for (int i = 0; i < options.other_entries; ++i) {
    put(out, 0x0100, 2, big);
    put(out, 4, 2, big);
    put(out, 1, 4, big);
    put(out, 6, 4, big);
  }
  put(out, 0x0112, 2, big);
  put(out, options.as_long ? 4 : 3, 2, big);
  put(out, options.count, 4, big);
  put(out, orientation, options.as_long ? 4 : 2, big);
  if (!options.as_long) put(out, 0, 2, big);
  put(out, 0, 4, big);
  return out;
}

FileBytes encode_webp(const Picture& picture, const WebpOptions& options) {
  const int w = picture.width, h = picture.height;
  std::vector<uint8_t> rgba;
  for (size_t i = 0; i < size_t(w) * h; ++i) {
    rgba.insert(rgba.end(), picture.rgb.begin() + 3 * i, picture.rgb.begin() + 3 * i + 3);
    rgba.push_back(options.alpha ? static_cast<uint8_t>(40 + i % 200) : 255);
  }
  WebPConfig config;
  require(WebPConfigInit(&config));
  config.quality = 95;
  config.lossless = options.lossless;
  config.exact = 1;  // colours under alpha are kept
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  WebPPicture image;
  require(WebPPictureInit(&image));
  image.width = w;
  image.height = h;
  image.use_argb = options.lossless;
  image.writer = WebPMemoryWrite;
  image.custom_ptr = &writer;
  require(WebPPictureImportRGBA(&image, rgba.data(), 4 * w));
  require(WebPEncode(&config, &image));
  FileBytes out(writer.mem, writer.mem + writer.size);
  WebPPictureFree(&image);
  WebPMemoryWriterClear(&writer);
  if (options.exif.empty()) return out;

  const WebPData frame{out.data(), out.size()};
  const WebPData exif{options.exif.data(), options.exif.size()};
  WebPMux* mux = WebPMuxNew();
  require(WebPMuxSetImage(mux, &frame, 1) == WEBP_MUX_OK);
  require(WebPMuxSetChunk(mux, "EXIF", &exif, 1) == WEBP_MUX_OK);
  WebPData whole{};
  require(WebPMuxAssemble(mux, &whole) == WEBP_MUX_OK);
  WebPMuxDelete(mux);
  FileBytes joined(whole.bytes, whole.bytes + whole.size);
  WebPDataClear(&whole);
  return joined;
}

FileBytes make_bmp(const BmpParts& parts) {
  FileBytes out = {'B', 'M'};
  const size_t offset = 14 + parts.header_size + parts.extra.size();
  put(out, static_cast<uint32_t>(offset + parts.pixels.size()), 4);
  put(out, 0, 4);
  put(out, static_cast<uint32_t>(offset), 4);
  put(out, parts.header_size, 4);
  const int side = parts.header_size == 12 ? 2 : 4;
  put(out, static_cast<uint32_t>(parts.width), side);
  put(out, static_cast<uint32_t>(parts.height), side);
  put(out, 1, 2);
  put(out, static_cast<uint32_t>(parts.depth), 2);
  if (parts.header_size > 12) {
    put(out, parts.compression, 4);
    for (int i = 0; i < 3; ++i) put(out, 0, 4);  // size, resolution
    put(out, parts.colours, 4);
    put(out, 0, 4);
  }
  const size_t header_end = 14 + size_t{parts.header_size};
  FileBytes extra = parts.extra;
  if (parts.header_size > 40) {  // the first bytes of `extra` (masks) lie inside the header
    const size_t inside = std::min<size_t>(extra.size(), parts.header_size - 40);
    out.insert(out.end(), extra.begin(), extra.begin() + static_cast<ptrdiff_t>(inside));
    extra.erase(extra.begin(), extra.begin() + static_cast<ptrdiff_t>(inside));
    out.resize(header_end);
    const auto moved = static_cast<uint32_t>(header_end + extra.size());
    std::memcpy(out.data() + 10, &moved, 4);
  }
  out.insert(out.end(), extra.begin(), extra.end());
  out.insert(out.end(), parts.pixels.begin(), parts.pixels.end());
  return out;
}

}  // namespace face::test
