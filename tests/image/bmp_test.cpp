// SPDX-License-Identifier: MIT
// tests/image/bmp_test.cpp - the BMP reader: every depth, header, coding and what it refuses.
#include <gtest/gtest.h>

#include "tests/image/check.h"

namespace face::test {
namespace {

const FileBytes kPalette4 = {10, 20, 30, 0, 40, 50, 60, 0, 70, 80, 90, 0, 1, 2, 3, 0};  // B G R -

struct BmpCase {
  const char* name;
  BmpParts parts;
  Picture expected;
};

FileBytes masks(std::initializer_list<uint32_t> values) {
  FileBytes out;
  for (const uint32_t v : values) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(v >> 8 * i));
  }
  return out;
}

const BmpCase kCases[] = {
    {"rgb24_bottom_up",
     {.width = 1, .height = 2, .pixels = {1, 2, 3, 0, 4, 5, 6, 0}},
     {1, 2, {6, 5, 4, 3, 2, 1}}},
    {"rgb24_top_down",
     {.width = 1, .height = -2, .pixels = {1, 2, 3, 0, 4, 5, 6, 0}},
     {1, 2, {3, 2, 1, 6, 5, 4}}},
    {"rgb24_without_last_padding",
     {.width = 1, .height = 2, .pixels = {1, 2, 3, 0, 4, 5, 6}},
     {1, 2, {6, 5, 4, 3, 2, 1}}},
    {"rgb32",
     {.width = 2, .height = 1, .depth = 32, .pixels = {1, 2, 3, 99, 4, 5, 6, 0}},
     {2, 1, {3, 2, 1, 6, 5, 4}}},
    {"rgb555",
     {.width = 2, .height = 1, .depth = 16, .pixels = {0x1f, 0, 0, 0x7c}},
     {2, 1, {0, 0, 255, 255, 0, 0}}},
    {"rgb565_masks",
     {.width = 2,
      .height = 1,
      .depth = 16,
      .compression = 3,
      .extra = masks({0xf800, 0x7e0, 0x1f}),
      .pixels = {0xe0, 0x07, 0x10, 0x84}},
     {2, 1, {0, 255, 0, 132, 130, 132}}},
    {"v4_masks",
     {.header_size = 108,
      .width = 1,
      .height = 1,
      .depth = 32,
      .compression = 3,
      .extra = masks({0xff, 0xff00, 0xff0000, 0xff000000}),
      .pixels = {7, 8, 9, 0}},
     {1, 1, {7, 8, 9}}},
    {"palette8",
     {.width = 3,
      .height = 1,
      .depth = 8,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {2, 0, 200, 0}},
     {3, 1, {90, 80, 70, 30, 20, 10, 0, 0, 0}}},  // an index without a colour is black
    {"palette4",
     {.width = 3,
      .height = 1,
      .depth = 4,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {0x12, 0x30, 0, 0}},
     {3, 1, {60, 50, 40, 90, 80, 70, 3, 2, 1}}},
    {"palette1",
     {.width = 9,
      .height = 1,
      .depth = 1,
      .colours = 2,
      .extra = {0, 0, 0, 0, 9, 9, 9, 0},
      .pixels = {0xa5, 0x80, 0, 0}},
     {9, 1, {9, 9, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 9, 9, 9, 9, 9, 9}}},
    {"os2_palette",
     {.header_size = 12,
      .width = 2,
      .height = 1,
      .depth = 1,
      .extra = {1, 2, 3, 4, 5, 6},
      .pixels = {0x40, 0, 0, 0}},
     {2, 1, {3, 2, 1, 6, 5, 4}}},
    {"rle8",
     {.width = 4,
      .height = 2,
      .depth = 8,
      .compression = 1,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {3, 1, 1, 2, 0, 0, 0, 3, 3, 2, 1, 0, 0, 1}},
     {4, 2, {3,  2,  1,  90, 80, 70, 60, 50, 40, 30, 20, 10,
             60, 50, 40, 60, 50, 40, 60, 50, 40, 90, 80, 70}}},
    {"rle8_delta",
     {.width = 2,
      .height = 2,
      .depth = 8,
      .compression = 1,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {0, 2, 1, 1, 1, 3, 0, 1}},
     {2, 2, {30, 20, 10, 3, 2, 1, 30, 20, 10, 30, 20, 10}}},
    {"rle4",
     {.width = 3,
      .height = 1,
      .depth = 4,
      .compression = 2,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {3, 0x12, 0, 1}},
     {3, 1, {60, 50, 40, 90, 80, 70, 60, 50, 40}}},
};

TEST(Bmp, PixelsAsWritten) {
  for (const BmpCase& c : kCases) {
    EXPECT_TRUE(near(decode_all(make_bmp(c.parts)), c.expected, 0)) << c.name;
  }
}

struct BmpError {
  const char* name;
  BmpParts parts;
  ErrorKind kind;
  const char* part;
};

const BmpError kErrors[] = {
    {"rows_missing",
     {.width = 2, .height = 2, .pixels = FileBytes(13)},
     ErrorKind::kBadImage,
     "truncated"},
    {"header",
     {.header_size = 20, .width = 1, .height = 1, .pixels = FileBytes(80)},
     ErrorKind::kBadImage,
     "header of 20 bytes"},
    {"depth",
     {.width = 1, .height = 1, .depth = 7, .pixels = FileBytes(4)},
     ErrorKind::kUnsupportedFormat,
     "7 bits per pixel"},
    {"jpeg_inside",
     {.width = 1, .height = 1, .compression = 4, .pixels = FileBytes(4)},
     ErrorKind::kUnsupportedFormat,
     "compression 4"},
    {"palette",
     {.width = 1, .height = 1, .depth = 8, .pixels = FileBytes(4)},
     ErrorKind::kBadImage,
     "no palette"},
    {"height",
     {.width = 1, .height = INT32_MIN, .pixels = FileBytes(4)},
     ErrorKind::kTooLarge,
     "1 x 2147483648"},
    {"width", {.width = -1, .height = 1, .pixels = FileBytes(4)}, ErrorKind::kBadImage, "-1 x 1"},
    {"rle_ends",
     {.width = 9,
      .height = 9,
      .depth = 8,
      .compression = 1,
      .colours = 4,
      .extra = kPalette4,
      .pixels = {3, 1, 1}},
     ErrorKind::kBadImage,
     "truncated in row 0"},
};

TEST(Bmp, Errors) {
  for (const BmpError& c : kErrors) {
    EXPECT_TRUE(fails([&] { (void)decode_all(make_bmp(c.parts)); }, c.kind, c.part)) << c.name;
  }
}

}  // namespace
}  // namespace face::test
