// SPDX-License-Identifier: MIT
// tests/image/format_test.cpp - JPEG, PNG and WebP of every kind come out with the right pixels.
#include <gtest/gtest.h>

#include "tests/image/check.h"

namespace face::test {
namespace {

using Colour = JpegOptions::Colour;

struct JpegCase {
  const char* name;
  JpegOptions options;
  int tolerance = 4;
};

const JpegCase kJpegCases[] = {
    {"gray", {.colour = Colour::kGray}},
    {"rgb", {.colour = Colour::kRgb}},
    {"ycc_444", {}},
    {"ycc_420", {.h = 2, .v = 2}, 6},
    {"ycc_422", {.h = 2, .v = 1}, 6},
    {"ycc_440", {.h = 1, .v = 2}, 6},
    {"ycc_411", {.h = 4, .v = 1}, 8},
    {"ycc_410", {.h = 4, .v = 2}, 8},
    {"cmyk", {.colour = Colour::kCmyk}},
    {"ycck", {.colour = Colour::kYcck}},
    {"ycck_420", {.colour = Colour::kYcck, .h = 2, .v = 2}, 6},
    {"progressive", {.progressive = true}},
    {"progressive_420", {.h = 2, .v = 2, .progressive = true}, 6},
    {"progressive_gray", {.colour = Colour::kGray, .progressive = true}},
    {"progressive_cmyk", {.colour = Colour::kCmyk, .progressive = true}},
    {"arithmetic", {.arithmetic = true}},
    {"arithmetic_progressive", {.progressive = true, .arithmetic = true}},
    {"separate_scans", {.h = 2, .v = 2, .separate_scans = true}, 6},
    {"restarts", {.h = 2, .v = 2, .restart_rows = 1}, 6},
};

class JpegKinds : public testing::TestWithParam<JpegCase> {};

TEST_P(JpegKinds, PixelsAsEncoded) {
  const JpegCase& c = GetParam();
  if (c.options.arithmetic && !can_write_arithmetic()) GTEST_SKIP() << "no arithmetic coder here";
  for (const auto& [w, h] : {std::pair{97, 61}, {64, 64}, {1, 1}, {3, 130}, {200, 33}}) {
    Picture picture = gradient(w, h);
    const FileBytes file = encode_jpeg(picture, c.options);
    if (c.options.colour == Colour::kGray) {
      for (size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = picture.rgb[i - i % 3 + 1];
    }
    EXPECT_TRUE(near(decode_all(file), picture, c.tolerance)) << w << " x " << h;
    EXPECT_EQ(probe_image(file, {}).progressive, c.options.progressive);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, JpegKinds, testing::ValuesIn(kJpegCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(JpegKinds, BytesBehindTheEndAreAccepted) {
  const Picture picture = gradient(40, 30);
  FileBytes file = encode_jpeg(picture);
  file.insert(file.end(), 100, 0x5a);
  EXPECT_TRUE(near(decode_all(file), picture, 4));
}

struct PngCase {
  int colour_type, depth;
};

const PngCase kPngCases[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                             {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

class PngKinds : public testing::TestWithParam<PngCase> {};

uint8_t to_8_bits(uint16_t sample, int depth) {
  return static_cast<uint8_t>(depth == 16 ? sample >> 8 : sample * 255 / ((1 << depth) - 1));
}

/// What the picture is, alpha dropped and the high byte of 16 kept.
Picture expected_png(int w, int h, const std::vector<uint16_t>& samples, const PngCase& c) {
  const int channels = png_channels(c.colour_type);
  Picture p{w, h, {}};
  for (size_t i = 0; i < size_t(w) * h; ++i) {
    const uint16_t* s = samples.data() + i * channels;
    uint8_t rgb[3];
    for (int k = 0; k < 3; ++k) rgb[k] = to_8_bits(s[channels >= 3 ? k : 0], c.depth);
    if (c.colour_type == 3) palette_colour(s[0], rgb);
    p.rgb.insert(p.rgb.end(), rgb, rgb + 3);
  }
  return p;
}

TEST_P(PngKinds, PixelsAsEncoded) {
  const PngCase& c = GetParam();
  for (const auto& [w, h] : {std::pair{33, 47}, {8, 8}, {1, 1}, {1, 70}, {130, 3}}) {
    std::vector<uint16_t> samples(size_t(w) * h * png_channels(c.colour_type));
    uint32_t state = 1;
    for (uint16_t& s : samples) {
      state = state * 1664525 + 1013904223;
      s = static_cast<uint16_t>((state >> 16) & ((1 << c.depth) - 1));
    }
    const Picture expected = expected_png(w, h, samples, c);
    for (const bool interlaced : {false, true}) {
      for (const bool transparency : {false, true}) {
        if (transparency && c.colour_type > 3) continue;
        const PngOptions options{.colour_type = c.colour_type,
                                 .depth = c.depth,
                                 .interlaced = interlaced,
                                 .transparency = transparency};
        EXPECT_TRUE(near(decode_all(encode_png(w, h, samples, options)), expected, 0))
            << w << " x " << h << ", interlaced " << interlaced << ", tRNS " << transparency;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, PngKinds, testing::ValuesIn(kPngCases), [](const auto& info) {
  return "type" + std::to_string(info.param.colour_type) + "_depth" +
         std::to_string(info.param.depth);
});

struct WebpCase {
  const char* name;
  WebpOptions options;
  int tolerance;
};

const WebpCase kWebpCases[] = {
    {"lossy", {}, 12},
    {"lossy_alpha", {.alpha = true}, 12},
    {"lossless", {.lossless = true}, 0},
    {"lossless_alpha", {.lossless = true, .alpha = true}, 0},
};

class WebpKinds : public testing::TestWithParam<WebpCase> {};

TEST_P(WebpKinds, PixelsAsEncoded) {
  for (const auto& [w, h] : {std::pair{97, 61}, {1, 1}, {16, 200}, {301, 5}}) {
    const Picture picture = gradient(w, h);
    const FileBytes file = encode_webp(picture, GetParam().options);
    EXPECT_TRUE(near(decode_all(file), picture, GetParam().tolerance)) << w << " x " << h;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, WebpKinds, testing::ValuesIn(kWebpCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace face::test
