// SPDX-License-Identifier: MIT
// tests/kernels/warp_math_test.cpp - similarity and sampling, against cv2.warpAffine (OpenCV 4.10)
// and Umeyama's method with a singular value decomposition in double precision.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/math/similarity.h"
#include "kernels/math/warp.h"
#include "tests/support/picture.h"

namespace face {
namespace {

struct WarpCase {
  int width, height;
  Affine to_crop;
  uint32_t checksum;  // of the 112 x 112 RGB crop
};
constexpr WarpCase kWarpCases[] = {
    {250, 250, {{0.6, 0.1, -20.5, -0.1, 0.6, 3.25}}, 0x7e39c5cdu},
    {60, 40, {{1.7, -0.4, 13.0, 0.4, 1.7, -31.0}}, 0x7c2e0461u},
    {1, 1, {{3.3, 1.0, 40.0, -1.0, 3.3, 50.0}}, 0x098c9ee8u},
    {333, 517, {{0.21, 0.02, 1.0, -0.02, 0.21, 0.5}}, 0xb618cac1u},
    {112, 112, {{1.0, 0.0, 0.0, 0.0, 1.0, 0.0}}, 0x4bb6d13fu},
    {112, 112, {{1.0, 0.0, 0.5, 0.0, 1.0, -0.015625}}, 0xcbf8554au},
    {200, 300, {{-0.5, -0.3, 100.0, 0.3, -0.5, 90.0}}, 0x068738a2u},
    {640, 480, {{0.3, 0.0, -500.0, 0.0, 0.3, 0.0}}, 0x74d9e17bu},
};

std::vector<uint8_t> warped(const ImageView& image, const Affine& map) {
  std::vector<uint8_t> out;
  for (int y = 0; y < 112; ++y) {
    for (int x = 0; x < 112; ++x) {
      const Rgb p = warp_pixel(image, map, y, x);
      for (int v : {p.r, p.g, p.b}) out.push_back(static_cast<uint8_t>(v));
    }
  }
  return out;
}

TEST(WarpPixel, EqualsOpenCv) {
  for (const WarpCase& c : kWarpCases) {
    SCOPED_TRACE(std::to_string(c.width) + "x" + std::to_string(c.height));
    const test::Picture picture(c.width, c.height);
    EXPECT_EQ(test::checksum(warped(picture.view(), invert(c.to_crop))), c.checksum);
  }
}

TEST(WarpPixel, PositionsThatAreNoNumbersOrHugeAreBlack) {
  const test::Picture picture(9, 9);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double v : {nan, 1e30, -1e30, std::numeric_limits<double>::infinity()}) {
    const Rgb p = warp_pixel(picture.view(), {{v, 0., v, 0., v, v}}, 111, 111);
    EXPECT_EQ(p.r + p.g + p.b, 0) << v;
  }
}

struct SimilarityCase {
  const char* name;
  Point from[kLandmarks];
  double want[6];
};
constexpr SimilarityCase kSimilarityCases[] = {
    {"frontal",
     {{94.438f, 109.067f},
      {136.91f, 109.21f},
      {107.506f, 139.92f},
      {100.152f, 155.507f},
      {139.624f, 155.741f}},
     {0.80590107458159954, -0.037438165129666315, -32.224989157605911, 0.037438165129666287,
      0.80590107458159976, -40.333076752697878}},
    {"upside_down",
     {{10, 10}, {0, 10}, {5, 5}, {9, 0}, {1, 0}},
     {-3.844878479674624, -0.021341135213663331, 75.357257742410184, 0.021341135213663338,
      -3.8448784796746227, 91.018467972304791}},
    {"mirrored_is_not_reflected",
     {{10, 10}, {20, 10}, {15, 5}, {11, 0}, {19, 0}},
     {-0.62610517229352658, -0.0035378173157409386, 65.43542633895035, 0.0035378173157409394,
      -0.62610517229352647, 74.978239851731516}},
    {"far_and_tilted",
     {{1000.5f, 2000.25f}, {1100, 1900}, {1080, 2010}, {1090, 2100}, {1180, 2030}},
     {0.2101914527725724, -0.16749002736620941, 163.22480645330438, 0.16749002736620938,
      0.21019145277257245, -532.75504432186892}},
};

class Similarity : public testing::TestWithParam<SimilarityCase> {
 protected:
  static Affine fit(const Point (&from)[kLandmarks]) {
    Point to[kLandmarks];
    for (int i = 0; i < kLandmarks; ++i) to[i] = arcface_landmark(i, 112);
    return fit_similarity(from, to);
  }
};

TEST_P(Similarity, EqualsUmeyama) {
  const Affine got = fit(GetParam().from);
  for (int i = 0; i < 6; ++i)
    EXPECT_NEAR(got.m[i], GetParam().want[i], 1e-9 * (1 + std::abs(GetParam().want[i]))) << i;
}

TEST_P(Similarity, InverseLeadsBack) {
  const Affine there = fit(GetParam().from), back = invert(there);
  const double x = 3.5, y = -7.25;
  const double u = there.m[0] * x + there.m[1] * y + there.m[2];
  const double v = there.m[3] * x + there.m[4] * y + there.m[5];
  EXPECT_NEAR(back.m[0] * u + back.m[1] * v + back.m[2], x, 1e-9);
  EXPECT_NEAR(back.m[3] * u + back.m[4] * v + back.m[5], y, 1e-9);
}
INSTANTIATE_TEST_SUITE_P(Table, Similarity, testing::ValuesIn(kSimilarityCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SimilarityLimits, PointsThatCoincideGiveAShift) {
  const Point from[kLandmarks] = {{7, 9}, {7, 9}, {7, 9}, {7, 9}, {7, 9}};
  const Affine map = crop_to_image(from, 112);
  EXPECT_EQ(map.m[0], 1.);
  EXPECT_EQ(map.m[1], 0.);
  EXPECT_NEAR(map.m[2], 7 - 56.02616, 1e-4);  // mean of the template's x
  EXPECT_NEAR(map.m[5], 9 - 71.90078, 1e-4);
}

TEST(SimilarityLimits, TemplateGrowsWithTheCrop) {
  EXPECT_FLOAT_EQ(arcface_landmark(0, 112).x, 38.2946f);
  EXPECT_FLOAT_EQ(arcface_landmark(4, 224).y, 2 * 92.2041f);
}

}  // namespace
}  // namespace face
