// SPDX-License-Identifier: MIT
// tests/image/probe_test.cpp - what is refused before anything is allocated, and in which words.
#include <gtest/gtest.h>

#include <string_view>

#include "tests/image/check.h"
#include "tests/image/heap_meter.h"

namespace face::test {
namespace {

using namespace std::string_view_literals;

FileBytes bytes(std::string_view text) { return {text.begin(), text.end()}; }

FileBytes joined(std::initializer_list<FileBytes> parts) {
  FileBytes out;
  for (const FileBytes& p : parts) out.insert(out.end(), p.begin(), p.end());
  return out;
}

struct SignatureCase {
  std::string_view file;
  const char* name;
};

const SignatureCase kSignatures[] = {
    {"GIF89a\1\0\1\0"sv, "GIF"},
    {"II*\0\10\0\0\0"sv, "TIFF"},
    {"MM\0*\0\0\0\10"sv, "TIFF"},
    {"\0\0\0\x18"
     "ftypheic\0\0\0\0"sv,
     "HEIC"},
    {"\0\0\0\x18"
     "ftypmif1\0\0\0\0"sv,
     "HEIF"},
    {"\0\0\0\x18"
     "ftypavif\0\0\0\0"sv,
     "AVIF"},
    {"\0\0\0\x18"
     "ftypisom\0\0\0\0"sv,
     "MP4"},
    {"\xff\x0a\0\0"sv, "JPEG XL"},
    {"\0\0\0\x0cJXL \r\n\x87\n"sv, "JPEG XL"},
    {"\0\0\0\x0cjP  \r\n\x87\n"sv, "JPEG 2000"},
    {"\xff\x4f\xff\x51\0"sv, "JPEG 2000"},
    {"P6\n1 1\n255\n"sv, "PNM"},
    {"8BPS\0\1"sv, "PSD"},
    {"\0\0\1\0\1\0"sv, "ICO"},
    {"qoif\0\0\0\1"sv, "QOI"},
    {"<?xml version=\"1.0\"?>\n<svg width=\"1\">"sv, "SVG"},
    {"  <svg xmlns=\"\">"sv, "SVG"},
    {"%PDF-1.7"sv, "PDF"},
    {"v/1\x01\2\0"sv, "OpenEXR"},
};

TEST(Signature, OtherFormatsAreNamed) {
  for (const SignatureCase& c : kSignatures) {
    EXPECT_TRUE(fails([&] { (void)probe_image(bytes(c.file), {}); }, ErrorKind::kUnsupportedFormat,
                      std::string(c.name) + " "))
        << c.name;
  }
}

TEST(Signature, NoPicture) {
  for (const auto& text : {"x"sv, "hello, world"sv, "<html><body>"sv, "BN"sv, "RIFF\4\0\0\0WAVE"sv,
                           "\xff\xd8"sv, "\x89PNG\r\n"sv, "P"sv, "P6"sv}) {
    EXPECT_TRUE(fails([&] { (void)probe_image(bytes(text), {}); }, ErrorKind::kBadImage,
                      "Invalid image format"))
        << text;
  }
  EXPECT_TRUE(fails([] { (void)probe_image({}, {}); }, ErrorKind::kBadImage, "empty"));
}

/// A JPEG with the given frame marker, precision and size, cut after its scan header.
FileBytes jpeg_head(uint8_t sof, int precision, int width, int height, int components = 3) {
  const auto u8 = [](int v) { return static_cast<uint8_t>(v); };
  FileBytes out = {0xff,
                   0xd8,
                   0xff,
                   sof,
                   0,
                   u8(8 + 3 * components),
                   u8(precision),
                   u8(height >> 8),
                   u8(height),
                   u8(width >> 8),
                   u8(width),
                   u8(components)};
  for (int i = 0; i < components; ++i) out.insert(out.end(), {u8(i + 1), 0x11, 0});
  out.insert(out.end(), {0xff, 0xda, 0, u8(6 + 2 * components), u8(components)});
  for (int i = 0; i < components; ++i) out.insert(out.end(), {u8(i + 1), 0});
  out.insert(out.end(), {0, 63, 0});
  return out;
}

struct ErrorCase {
  const char* name;
  FileBytes file;
  ErrorKind kind;
  const char* part;
};

const ErrorCase kJpegErrors[] = {
    {"lossless", jpeg_head(0xc3, 8, 9, 9), ErrorKind::kUnsupportedFormat, "Lossless JPEG"},
    {"hierarchical", jpeg_head(0xc5, 8, 9, 9), ErrorKind::kUnsupportedFormat, "Hierarchical"},
    {"jpeg_ls", jpeg_head(0xf7, 8, 9, 9), ErrorKind::kUnsupportedFormat, "JPEG-LS"},
    {"twelve_bits", jpeg_head(0xc1, 12, 9, 9), ErrorKind::kUnsupportedFormat, "12 bits"},
    {"two_components", jpeg_head(0xc0, 8, 9, 9, 2), ErrorKind::kUnsupportedFormat, "2 components"},
    {"no_height", jpeg_head(0xc0, 8, 9, 0), ErrorKind::kBadImage, "9 x 0"},
    {"side", jpeg_head(0xc0, 8, 40000, 1), ErrorKind::kTooLarge,
     "40000 x 1 pixels, the limit per side is 32768"},
    {"pixels", jpeg_head(0xc0, 8, 8000, 8000), ErrorKind::kTooLarge,
     "64000000 pixels, the limit is 50000000"},
    {"progressive_pixels", jpeg_head(0xc2, 8, 6000, 6000), ErrorKind::kTooLarge,
     "36000000 pixels, the limit is 25000000"},
    {"ends_before_scan", {0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2}, ErrorKind::kBadImage, "truncated"},
    {"segment_cut", {0xff, 0xd8, 0xff, 0xe0, 0, 40, 1}, ErrorKind::kBadImage, "truncated"},
    {"segment_length", {0xff, 0xd8, 0xff, 0xe0, 0, 1, 1}, ErrorKind::kBadImage, "length 1"},
    {"only_end", {0xff, 0xd8, 0xff, 0xd9}, ErrorKind::kBadImage, "no picture data"},
    {"two_starts", {0xff, 0xd8, 0xff, 0xd8}, ErrorKind::kBadImage, "second start"},
};

TEST(Probe, JpegErrors) {
  for (const ErrorCase& c : kJpegErrors) {
    EXPECT_TRUE(fails([&] { (void)probe_image(c.file, {}); }, c.kind, c.part)) << c.name;
  }
}

TEST(Probe, ScansAreCountedBeforeDecoding) {
  const FileBytes head = jpeg_head(0xc2, 8, 64, 64, 1);
  FileBytes file = head;
  const FileBytes scan(head.end() - 10, head.end());
  for (int i = 1; i < 100; ++i) file.insert(file.end(), scan.begin(), scan.end());
  const FileBytes end = {0xff, 0xd9};
  EXPECT_NO_THROW((void)probe_image(joined({file, end}), {}));
  EXPECT_TRUE(fails(
      [&] {
        (void)probe_image(joined({file, scan, end}), {});
      },
      ErrorKind::kTooLarge, "more than 100 scans"));
}

FileBytes chunk(std::string_view name, const FileBytes& body, uint32_t length) {
  FileBytes out;
  for (int i = 3; i >= 0; --i) out.push_back(static_cast<uint8_t>(length >> 8 * i));
  return joined({out, bytes(name), body, FileBytes(4)});
}
FileBytes chunk(std::string_view name, const FileBytes& body) {
  return chunk(name, body, static_cast<uint32_t>(body.size()));
}

FileBytes header(uint32_t w, uint32_t h, int depth, int colour, int interlace = 0) {
  FileBytes body;
  for (const uint32_t v : {w, h}) {
    for (int i = 3; i >= 0; --i) body.push_back(static_cast<uint8_t>(v >> 8 * i));
  }
  for (const int v : {depth, colour, 0, 0, interlace}) body.push_back(static_cast<uint8_t>(v));
  return chunk("IHDR", body);
}

TEST(Probe, PngErrors) {
  const FileBytes start = bytes("\x89PNG\r\n\x1a\n"sv);
  const FileBytes ihdr = header(4, 4, 8, 2), idat = chunk("IDAT", {0}), iend = chunk("IEND", {});
  const ErrorCase cases[] = {
      {"side", joined({start, header(1u << 31, 1, 8, 2)}), ErrorKind::kTooLarge, "per side"},
      {"pixels", joined({start, header(10000, 10000, 8, 2)}), ErrorKind::kTooLarge, "100000000"},
      {"no_width", joined({start, header(0, 4, 8, 2)}), ErrorKind::kBadImage, "0 x 4"},
      {"depth", joined({start, header(4, 4, 4, 2)}), ErrorKind::kBadImage, "colour type 2 with 4"},
      {"colour", joined({start, header(4, 4, 8, 5)}), ErrorKind::kBadImage, "colour type 5"},
      {"interlace", joined({start, header(4, 4, 8, 2, 2)}), ErrorKind::kBadImage, "interlace"},
      {"no_header", joined({start, idat}), ErrorKind::kBadImage, "no header"},
      {"two_headers", joined({start, ihdr, ihdr}), ErrorKind::kBadImage, "two header"},
      {"no_data", joined({start, ihdr, iend}), ErrorKind::kBadImage, "no picture data"},
      {"no_end", joined({start, ihdr, idat}), ErrorKind::kBadImage, "truncated"},
      {"length", joined({start, ihdr, chunk("tEXt", {}, 0x7ffffff0)}), ErrorKind::kBadImage,
       "2147483632 bytes"},
      {"ancillary", joined({start, ihdr, chunk("zTXt", FileBytes(2 << 20))}), ErrorKind::kTooLarge,
       "chunk of 2097152 bytes, the limit is 1048576"},
      {"apple", joined({start, chunk("CgBI", {0})}), ErrorKind::kUnsupportedFormat, "CgBI"},
  };
  for (const ErrorCase& c : cases) {
    EXPECT_TRUE(fails([&] { (void)probe_image(c.file, {}); }, c.kind, c.part)) << c.name;
  }
  FileBytes bomb = joined({start, ihdr});
  const FileBytes empty = chunk("tEXt", {});
  for (int i = 0; i < 40'000; ++i) bomb.insert(bomb.end(), empty.begin(), empty.end());
  EXPECT_TRUE(fails([&] { (void)probe_image(bomb, {}); }, ErrorKind::kTooLarge, "32768 chunks"));
}

FileBytes riff(std::string_view name, const FileBytes& body) {
  FileBytes out = bytes("RIFF");
  const auto put = [&](size_t v) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(v >> 8 * i));
  };
  put(4 + 8 + body.size());
  out = joined({out, bytes("WEBP"), bytes(name)});
  put(body.size());
  return joined({out, body});
}

TEST(Probe, WebpErrors) {
  const FileBytes vp8l_268mp = {0x2f, 0xfe, 0xbf, 0xff, 0x0f, 0};  // 16383 x 16384
  const ErrorCase cases[] = {
      {"animated", riff("VP8X", {2, 0, 0, 0, 9, 0, 0, 9, 0, 0}), ErrorKind::kUnsupportedFormat,
       "Animated WebP"},
      {"pixels", riff("VP8L", vp8l_268mp), ErrorKind::kTooLarge, "the limit is 50000000"},
      {"frame", riff("VP8 ", FileBytes(12)), ErrorKind::kBadImage, "frame header"},
      {"no_frame", riff("EXIF", FileBytes(12)), ErrorKind::kBadImage, "no picture data"},
      {"short", bytes("RIFF\xff\0\0\0WEBPVP8 "sv), ErrorKind::kBadImage, "truncated: 263 bytes"},
  };
  for (const ErrorCase& c : cases) {
    EXPECT_TRUE(fails([&] { (void)probe_image(c.file, {}); }, c.kind, c.part)) << c.name;
  }
}

TEST(Probe, FileSize) {
  EXPECT_TRUE(fails([] { (void)probe_image(FileBytes(101, 'x'), {.max_bytes = 100}); },
                    ErrorKind::kTooLarge, "101 bytes, the limit is 100"));
}

TEST(Probe, NeverAllocates) {
  const Picture picture = gradient(50, 40);
  const FileBytes exif = make_exif(6);
  const FileBytes files[] = {encode_jpeg(picture, {.exif = exif}),
                             encode_jpeg(picture, {.progressive = true}),
                             encode_png(picture, {.exif = exif}),
                             encode_webp(picture, {.exif = exif}),
                             encode_webp(picture, {.lossless = true}),
                             make_bmp({.width = 2, .height = 2, .pixels = FileBytes(16)})};
  for (const FileBytes& file : files) {
    heap_start();
    const ImageInfo info = probe_image(file, {});
    const HeapUse use = heap_stop();
    EXPECT_EQ(use.allocations, 0u) << to_string(info.format);
  }
  heap_start();
  const FileBytes probe(100);
  EXPECT_EQ(heap_stop().allocations, 1u) << "the meter does not count";
}

}  // namespace
}  // namespace face::test
