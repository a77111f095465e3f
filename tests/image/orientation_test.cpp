// SPDX-License-Identifier: MIT
// tests/image/orientation_test.cpp - EXIF orientations are found in every container and applied.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/image/exif.h"
#include "engine/image/upright.h"
#include "tests/image/check.h"

namespace face::test {
namespace {

/// Pixel (x, y) of the upright picture, by the definition of each value: which stored pixel it is.
std::pair<int, int> stored_position(int orientation, int x, int y, int w, int h) {
  switch (orientation) {
    case 2:
      return {w - 1 - x, y};
    case 3:
      return {w - 1 - x, h - 1 - y};
    case 4:
      return {x, h - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {y, h - 1 - x};
    case 7:
      return {w - 1 - y, h - 1 - x};
    case 8:
      return {w - 1 - y, x};
    default:
      return {x, y};
  }
}

Picture upright(const Picture& stored, int orientation) {
  const bool turned = orientation >= 5;
  Picture out{turned ? stored.height : stored.width, turned ? stored.width : stored.height, {}};
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const auto [sx, sy] = stored_position(orientation, x, y, stored.width, stored.height);
      out.rgb.insert(out.rgb.end(), stored.at(sx, sy), stored.at(sx, sy) + 3);
    }
  }
  return out;
}

Picture noise(int w, int h) {
  Picture p{w, h, std::vector<uint8_t>(size_t(3) * w * h)};
  uint32_t state = 7;
  for (uint8_t& v : p.rgb) v = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return p;
}

TEST(Upright, EveryOrientationAndSize) {
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 40}, {40, 1}, {33, 65}, {64, 32}, {7, 100}}) {
    const Picture stored = noise(w, h);
    for (int orientation = 1; orientation <= 8; ++orientation) {
      const ImageInfo info{.width = w, .height = h, .orientation = orientation};
      image::UprightRows rows(info);
      for (int y = 0, count = 1; y < h; y += count, count = count % image::kStripRows + 1) {
        count = std::min(count, h - y);
        for (int i = 0; i < count; ++i) std::memcpy(rows.row(y + i), stored.at(0, y + i), 3u * w);
        rows.commit(count);
      }
      const Picture expected = upright(stored, orientation);
      EXPECT_TRUE(near(rows.take(), expected, 0)) << w << " x " << h << ", " << orientation;

      Image whole(w, h);
      std::memcpy(whole.data(), stored.rgb.data(), stored.rgb.size());
      EXPECT_TRUE(near(image::turn_upright(std::move(whole), orientation), expected, 0))
          << "whole " << w << " x " << h << ", " << orientation;
    }
  }
}

struct Container {
  const char* name;
  FileBytes (*make)(const Picture&, const FileBytes& exif);
  int tolerance;
};

const Container kContainers[] = {
    {"jpeg", [](const Picture& p, const FileBytes& exif) { return encode_jpeg(p, {.exif = exif}); },
     5},
    {"jpeg_progressive",
     [](const Picture& p, const FileBytes& exif) {
       return encode_jpeg(p, {.progressive = true, .exif = exif});
     },
     5},
    {"jpeg_cmyk",
     [](const Picture& p, const FileBytes& exif) {
       return encode_jpeg(p, {.colour = JpegOptions::Colour::kCmyk, .exif = exif});
     },
     5},
    {"png", [](const Picture& p, const FileBytes& exif) { return encode_png(p, {.exif = exif}); },
     0},
    {"png_exif_last",
     [](const Picture& p, const FileBytes& exif) {
       return encode_png(p, {.exif = exif, .exif_last = true});
     },
     0},
    {"png_interlaced",
     [](const Picture& p, const FileBytes& exif) {
       return encode_png(p, {.interlaced = true, .exif = exif});
     },
     0},
    {"webp_lossless",
     [](const Picture& p, const FileBytes& exif) {
       return encode_webp(p, {.lossless = true, .exif = exif});
     },
     0},
};

class Orientation : public testing::TestWithParam<Container> {};

TEST_P(Orientation, PictureIsUpright) {
  const Picture stored = gradient(75, 50);
  for (const bool big_endian : {false, true}) {
    for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
      const FileBytes exif =
          make_exif(orientation, {.big_endian = big_endian, .as_long = orientation % 2 == 0});
      const FileBytes file = GetParam().make(stored, exif);
      EXPECT_EQ(probe_image(file, {}).orientation, static_cast<int>(orientation));
      EXPECT_TRUE(near(decode_all(file), upright(stored, static_cast<int>(orientation)),
                       GetParam().tolerance))
          << orientation << (big_endian ? " MM" : " II");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Orientation, testing::ValuesIn(kContainers),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Exif, BrokenBlocksAreUpright) {
  const FileBytes good = make_exif(6);
  EXPECT_EQ(image::exif_orientation(good), 6);
  for (size_t n = 0; n + 4 < good.size(); ++n) {  // the last 4 bytes: offset of a next directory
    EXPECT_EQ(image::exif_orientation({good.data(), n}), 1) << n;
  }
  for (const uint32_t value : {0u, 9u, 255u, 65535u}) {
    EXPECT_EQ(image::exif_orientation(make_exif(value)), 1) << value;
  }
  EXPECT_EQ(image::exif_orientation(make_exif(0x10006, {.as_long = true})), 1);
  EXPECT_EQ(image::exif_orientation(make_exif(6, {.count = 0})), 1);
  EXPECT_EQ(image::exif_orientation(make_exif(6, {.count = 2})), 6);
  EXPECT_EQ(image::exif_orientation(make_exif(6, {.count = 3})), 1);
  EXPECT_EQ(image::exif_orientation(make_exif(6, {.other_entries = 199})), 6);
  EXPECT_EQ(image::exif_orientation(make_exif(6, {.other_entries = 200})), 1);
  for (const uint8_t offset : {0xff, 0x7f}) {
    FileBytes wild = good;
    std::fill_n(wild.begin() + 4, 4, offset);
    EXPECT_EQ(image::exif_orientation(wild), 1);
  }
}

TEST(Exif, FirstSegmentWins) {
  const Picture stored = gradient(20, 10);
  FileBytes file = encode_jpeg(stored, {.exif = make_exif(6)});
  const FileBytes other = encode_jpeg(stored, {.exif = make_exif(3)});
  const size_t app0 = 20, app1 = 4 + 6 + make_exif(3).size();
  file.insert(file.begin() + app0 + app1, other.begin() + app0, other.begin() + app0 + app1);
  EXPECT_EQ(probe_image(file, {}).orientation, 6);
  EXPECT_EQ(decode_all(file).width(), 10);
}

}  // namespace
}  // namespace face::test
