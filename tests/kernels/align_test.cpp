// SPDX-License-Identifier: MIT
// tests/kernels/align_test.cpp - the vector crop against the definition, pixel by pixel, on
// pictures whose last or first byte lies beside memory that faults.
#include "kernels/cpu/align.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/picture.h"

namespace face::cpu {
namespace {

using test::Guard;

constexpr Normalisation kNormalisation{127.5f, 1.f / 127.5f};

size_t differences(const ImageView& image, const Affine& map, const InputImage& out,
                   const Normalisation& n) {
  size_t wrong = 0;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const Rgb p = warp_pixel(image, map, y, x);
      const int want[3] = {p.r, p.g, p.b};
      for (int c = 0; c < 3; ++c)
        if (!(out.row(y)[x * out.pixel_step() + c * out.channel_step()] == normalise(want[c], n)))
          ++wrong;
    }
  }
  return wrong;
}

struct MapCase {
  const char* name;
  int width, height;
  Affine map;  // from the crop to the picture
};
constexpr MapCase kMaps[] = {
    {"identity", 112, 112, {{1., 0., 0., 0., 1., 0.}}},
    {"inside", 250, 250, {{1.2, 0.1, 30.3, -0.1, 1.2, 40.7}}},
    {"over_every_border", 60, 40, {{1.5, -0.3, -20., 0.3, 1.5, -60.}}},
    {"enlarged", 30, 30, {{0.05, 0.01, 10., -0.01, 0.05, 10.}}},
    {"reduced", 1000, 700, {{6.3, 1., 5., -1., 6.3, 20.}}},
    {"one_pixel", 1, 1, {{0.02, 0., -0.5, 0., 0.02, -0.5}}},
    {"two_columns", 2, 300, {{0.1, 0., -2., 0., 1.7, 3.}}},
    {"outside", 50, 50, {{1., 0., 500., 0., 1., 0.}}},
    {"far_outside", 50, 50, {{1e12, 0., -1e12, 0., 1e12, 1e12}}},
    {"singular", 50, 50, {{0., 0., 25., 0., 0., 25.}}},
};

TEST(AlignCpu, EqualsTheDefinition) {
  for (const MapCase& c : kMaps) {
    for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
      for (PixelLayout layout : {PixelLayout::kNchw, PixelLayout::kNhwc}) {
        SCOPED_TRACE(c.name);
        const test::Picture picture(c.width, c.height, 5, guard);
        test::GuardedFloats memory(size_t(3) * 112 * 112, guard);
        const InputImage out{memory.data(), 112, 112, layout};
        Align(112).warp(picture.view(), c.map, kNormalisation, out);
        EXPECT_EQ(differences(picture.view(), c.map, out, kNormalisation), 0u);
      }
    }
  }
}

TEST(AlignCpu, TakesTheLandmarksToTheTemplate) {
  const test::Picture picture(250, 250);
  const Point landmarks[kLandmarks] = {
      {94.4f, 109.f}, {136.9f, 109.2f}, {107.5f, 139.9f}, {100.1f, 155.5f}, {139.6f, 155.7f}};
  for (int size : {112, 97}) {
    test::GuardedFloats memory(size_t(3) * size * size, Guard::kAfter);
    const InputImage out{memory.data(), size, size, PixelLayout::kNchw};
    Align(size).run(picture.view(), landmarks, kNormalisation, out);
    EXPECT_EQ(differences(picture.view(), crop_to_image(landmarks, size), out, kNormalisation), 0u);
  }
}

}  // namespace
}  // namespace face::cpu
