// SPDX-License-Identifier: MIT
// tests/kernels/letterbox_test.cpp - the vector letterbox against the definition, pixel by pixel,
// on pictures whose last or first byte lies beside memory that faults.
#include "kernels/cpu/letterbox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/picture.h"

namespace face::cpu {
namespace {

using test::Guard;

struct Size {
  int width, height;
};
constexpr Size kSizes[] = {{1, 1},     {2, 2},     {3, 5},       {7, 5},      {250, 250},
                           {640, 640}, {641, 639}, {1920, 1080}, {1280, 720}, {97, 640},
                           {1, 20000}, {20000, 1}, {333, 517},   {130, 127},  {2, 999}};

constexpr Normalisation kNormalisation{127.5f, 1.f / 128};

float expected(const ImageView& image, const Fit& fit, int y, int x, int c,
               const Normalisation& n) {
  const Rgb p = letterbox_pixel(image, fit, y, x);
  return normalise(c == 0 ? p.r : c == 1 ? p.g : p.b, n);
}

/// Number of values of `out` that are not what kernels/math says; NaN is not.
size_t differences(const ImageView& image, const InputImage& out, const Normalisation& n) {
  const Fit fit = fit_letterbox(image.height, image.width, out.width);
  size_t wrong = 0;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      for (int c = 0; c < 3; ++c)
        if (!(out.row(y)[x * out.pixel_step() + c * out.channel_step()] ==
              expected(image, fit, y, x, c, n)))
          ++wrong;
  return wrong;
}

TEST(LetterboxCpu, EqualsTheDefinition) {
  for (const Size& size : kSizes) {
    for (int net : {128, 640}) {
      for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
        SCOPED_TRACE(std::to_string(size.width) + "x" + std::to_string(size.height));
        const test::Picture picture(size.width, size.height, 3, guard);
        test::GuardedFloats memory(size_t(3) * net * net, guard);
        const InputImage out{memory.data(), net, net, PixelLayout::kNchw};
        Letterbox letterbox(net);
        const Fit fit = letterbox.run(picture.view(), kNormalisation, out);
        EXPECT_EQ(fit.width, fit_letterbox(size.height, size.width, net).width);
        EXPECT_EQ(differences(picture.view(), out, kNormalisation), 0u);
      }
    }
  }
}

TEST(LetterboxCpu, WritesNhwcToo) {
  for (const Size& size : {Size{250, 250}, Size{333, 517}, Size{3, 5}}) {
    const test::Picture picture(size.width, size.height);
    test::GuardedFloats memory(size_t(3) * 96 * 96, Guard::kAfter);
    const InputImage out{memory.data(), 96, 96, PixelLayout::kNhwc};
    const Normalisation raw{0.f, 1.f};
    Letterbox(96).run(picture.view(), raw, out);
    EXPECT_EQ(differences(picture.view(), out, raw), 0u);
  }
}

TEST(LetterboxCpu, RowsMayHaveAStride) {
  const test::Picture wide(64, 40);
  const ImageView view{wide.view().data + 3 * 10, 50, 40, wide.view().stride};
  std::vector<float> memory(size_t(3) * 128 * 128);
  const InputImage out{memory.data(), 128, 128, PixelLayout::kNchw};
  Letterbox(128).run(view, kNormalisation, out);
  EXPECT_EQ(differences(view, out, kNormalisation), 0u);
}

TEST(LetterboxCpu, RepaintsOnlyWhatAnEarlierPictureLeft) {
  Letterbox letterbox(128);
  std::vector<float> memory(size_t(3) * 128 * 128, std::nanf(""));
  for (PixelLayout layout : {PixelLayout::kNchw, PixelLayout::kNhwc}) {
    const InputImage out{memory.data(), 128, 128, layout};
    Fit drawn;
    bool first = true;
    for (const Size& size : {Size{50, 60}, Size{60, 50}, Size{20, 100}, Size{100, 20},
                             Size{99, 100}, Size{1, 1}, Size{300, 2}}) {
      const test::Picture picture(size.width, size.height);
      drawn = letterbox.run(picture.view(), kNormalisation, out, first ? nullptr : &drawn);
      first = false;
      EXPECT_EQ(differences(picture.view(), out, kNormalisation), 0u) << size.width;
    }
  }
}

}  // namespace
}  // namespace face::cpu
