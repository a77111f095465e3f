// SPDX-License-Identifier: MIT
// tests/kernels/box_math_test.cpp - anchors and overlaps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/math/anchors.h"
#include "kernels/math/iou.h"

namespace face {
namespace {

TEST(DecodeAnchor, MovesFromCellsToPixelsOfThePicture) {
  const float box[4] = {1.f, 2.f, 3.f, 4.f};
  const float points[10] = {0.f, 0.5f, 1.f, 1.5f, 2.f, 2.5f, -1.f, -2.f, 0.25f, 0.f};
  const Detection d = decode_anchor(box, points, /*y=*/5, /*x=*/7, /*stride=*/16, 0.5f, 0.75f);
  EXPECT_EQ(d.x1, (7 - 1) * 32.f);
  EXPECT_EQ(d.y1, (5 - 2) * 32.f);
  EXPECT_EQ(d.x2, (7 + 3) * 32.f);
  EXPECT_EQ(d.y2, (5 + 4) * 32.f);
  EXPECT_EQ(d.score, 0.75f);
  EXPECT_EQ(d.landmarks[1].x, (7 + 1) * 32.f);
  EXPECT_EQ(d.landmarks[3].y, (5 - 2) * 32.f);
  EXPECT_EQ(d.landmarks[4].x, (7 + 0.25f) * 32.f);
}

TEST(SurelyBelow, NeverExcludesWhatReachesTheThreshold) {
  for (float threshold : {1e-6f, 0.02f, 0.3f, 0.5f, 0.77f, 0.999f, 0.9999999f, 1.f}) {
    const float bound = surely_below(threshold);
    for (float x = -20.f; x < 40.f; x += 0.01f) {
      if (sigmoid(x) >= threshold) {
        EXPECT_GE(x, bound) << threshold;
      }
    }
    if (threshold < 0.999f) {
      EXPECT_LT(sigmoid(bound - 0.01f), threshold) << threshold;
    }
  }
  EXPECT_EQ(surely_below(0.f), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(sigmoid(0.f), 0.5f);
  EXPECT_EQ(sigmoid(-1000.f), 0.f);
}

TEST(IsFinite, SeesEveryField) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  Detection d{1, 2, 3, 4, 0.5f, {}};
  EXPECT_TRUE(is_finite(d));
  for (float v : bad) {
    for (float* field : {&d.x1, &d.y1, &d.x2, &d.y2, &d.score, &d.landmarks[0].x, &d.landmarks[2].y,
                         &d.landmarks[4].y}) {
      const float keep = *field;
      *field = v;
      EXPECT_FALSE(is_finite(d));
      *field = keep;
    }
  }
}

TEST(Iou, CountsCornersAsPixels) {
  EXPECT_FLOAT_EQ(iou({0, 0, 9, 9}, {0, 0, 9, 9}), 1.f);
  EXPECT_FLOAT_EQ(iou({0, 0, 9, 9}, {5, 0, 14, 9}), 50.f / 150);
  EXPECT_FLOAT_EQ(iou({0, 0, 9, 9}, {9, 9, 18, 18}), 1.f / 199);  // a shared pixel
  EXPECT_FLOAT_EQ(iou({0, 0, 9, 9}, {10, 0, 19, 9}), 0.f);
  EXPECT_FLOAT_EQ(iou({0, 0, 9, 9}, {100, 100, 110, 110}), 0.f);
  EXPECT_FLOAT_EQ(iou({-5, -5, 4, 4}, {0, 0, 9, 9}), 25.f / 175);
}

TEST(Iou, EqualToTheThresholdIsKept) {
  EXPECT_FALSE(suppresses(0.4f, 0.4f));
  EXPECT_TRUE(suppresses(std::nextafter(0.4f, 1.f), 0.4f));
  const float huge = 3e38f;
  EXPECT_TRUE(suppresses(iou({-huge, -huge, huge, huge}, {-huge, -huge, huge, huge}), 0.4f));
}

TEST(RanksBefore, TiesGoByIndex) {
  EXPECT_TRUE(ranks_before(0.9f, 7, 0.8f, 1));
  EXPECT_FALSE(ranks_before(0.8f, 1, 0.9f, 7));
  EXPECT_TRUE(ranks_before(0.8f, 1, 0.8f, 2));
  EXPECT_FALSE(ranks_before(0.8f, 1, 0.8f, 1));
}

}  // namespace
}  // namespace face
