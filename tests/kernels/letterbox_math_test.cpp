// SPDX-License-Identifier: MIT
// tests/kernels/letterbox_math_test.cpp - fit and pixels of kernels/math/letterbox.h, against
// values computed with cv2.resize (OpenCV 4.10; 5.0 gives the same).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/math/letterbox.h"
#include "tests/support/picture.h"

namespace face {
namespace {

struct FitCase {
  const char* name;
  int height, width, size, fit_height, fit_width;
  float scale;
};
constexpr FitCase kFitCases[] = {
    {"identity", 640, 640, 640, 640, 640, 1.f},
    {"landscape", 1080, 1920, 640, 360, 640, 360.f / 1080},
    {"truncates_not_rounds", 150, 301, 640, 318, 640, 318.f / 150},  // 318.94; scale by height
    {"portrait", 300, 100, 640, 640, 213, 640.f / 300},
    {"small_input", 250, 250, 128, 128, 128, 128.f / 250},
    {"one_pixel", 1, 1, 640, 640, 640, 640.f},
    {"sliver_keeps_one_column", 20000, 1, 640, 640, 1, 640.f / 20000},
    {"sliver_keeps_one_row", 1, 20000, 640, 1, 640, 640.f / 20000},
};

class FitLetterbox : public testing::TestWithParam<FitCase> {};

TEST_P(FitLetterbox, MatchesReference) {
  const FitCase& c = GetParam();
  const Fit fit = fit_letterbox(c.height, c.width, c.size);
  EXPECT_EQ(fit.height, c.fit_height);
  EXPECT_EQ(fit.width, c.fit_width);
  EXPECT_FLOAT_EQ(fit.scale, c.scale);
  EXPECT_NEAR(fit.step_y * fit.height, c.height, 1e-9 * c.height);
  EXPECT_NEAR(fit.step_x * fit.width, c.width, 1e-9 * c.width);
}
INSTANTIATE_TEST_SUITE_P(Table, FitLetterbox, testing::ValuesIn(kFitCases),
                         [](const auto& info) { return std::string(info.param.name); });

struct PixelCase {
  int width, height, size;
  uint32_t checksum;  // of the RGB square
};
constexpr PixelCase kPixelCases[] = {
    {1920, 1080, 640, 0x976f0a5au}, {1280, 720, 640, 0x978a47e3u}, {250, 250, 640, 0xfcd76798u},
    {100, 300, 640, 0xc83ef775u},   {517, 333, 640, 0x428377a3u},  {53, 37, 640, 0x2ec61b1fu},
    {3, 2000, 640, 0xe1717a80u},    {2000, 1, 640, 0x34747104u},   {1, 1, 640, 0x20b9b921u},
    {640, 641, 640, 0xe57a975au},   {640, 97, 640, 0x6afe3a51u},   {640, 640, 640, 0xf56fa835u},
    {1280, 1280, 640, 0x196862b4u}, {100, 100, 128, 0xdf381a57u},  {77, 1000, 128, 0xf76aabafu},
    {2, 2, 640, 0xb63a6055u},       {5, 7, 128, 0xfd3b2438u},
};

std::vector<uint8_t> letterboxed(const ImageView& image, int size) {
  const Fit fit = fit_letterbox(image.height, image.width, size);
  std::vector<uint8_t> out;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const Rgb p = letterbox_pixel(image, fit, y, x);
      for (int v : {p.r, p.g, p.b}) out.push_back(static_cast<uint8_t>(v));
    }
  }
  return out;
}

TEST(LetterboxPixel, EqualsOpenCv) {
  for (const PixelCase& c : kPixelCases) {
    SCOPED_TRACE(std::to_string(c.width) + "x" + std::to_string(c.height));
    const test::Picture picture(c.width, c.height);
    EXPECT_EQ(test::checksum(letterboxed(picture.view(), c.size)), c.checksum);
  }
}

std::vector<int> resized(const ImageView& image, int height, int width) {
  const double step_y = 1. / (double(height) / image.height);
  const double step_x = 1. / (double(width) / image.width);
  std::vector<int> out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Rgb p = resize_pixel(image, resize_tap_y(y, step_y, image.height),
                                 resize_tap_x(x, step_x, image.width));
      out.insert(out.end(), {p.r, p.g, p.b});
    }
  }
  return out;
}

TEST(ResizePixel, EqualsOpenCvValueByValue) {
  const test::Picture down(7, 5), up(2, 3);
  EXPECT_EQ(resized(down.view(), 3, 4),
            (std::vector<int>{79,  71,  103, 101, 161, 112, 151, 158, 109, 118, 137, 155,
                              244, 198, 101, 80,  110, 38,  34,  31,  20,  184, 112, 94,
                              187, 50,  96,  149, 160, 167, 68,  130, 97,  131, 133, 179}));
  EXPECT_EQ(
      resized(up.view(), 4, 5),
      (std::vector<int>{32,  79,  70,  38,  73,  71,  62,  50,  74,  87,  27,  78, 93,  22,  79,
                        114, 62,  179, 110, 67,  166, 95,  89,  112, 80,  111, 59, 76,  116, 46,
                        196, 110, 211, 189, 117, 192, 162, 143, 115, 134, 170, 39, 128, 176, 20,
                        252, 207, 155, 250, 204, 140, 241, 194, 82,  232, 184, 24, 230, 182, 10}));
}

TEST(Normalise, BlackIsNotZero) {
  EXPECT_EQ(normalise(0, {127.5f, 1.f / 128}), -0.99609375f);
  EXPECT_EQ(normalise(255, {127.5f, 1.f / 128}), 0.99609375f);
  EXPECT_EQ(normalise(7, {0.f, 1.f}), 7.f);
}

}  // namespace
}  // namespace face
