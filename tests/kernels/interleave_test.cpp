// SPDX-License-Identifier: MIT
#include "kernels/cpu/interleave.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/guarded.h"

namespace face::test {
namespace {

TEST(Interleave, EveryWidthWithoutTouchingWhatLiesBeyond) {
  for (size_t width = 1; width < 70; ++width) {
    for (const Guard guard : {Guard::kAfter, Guard::kBefore}) {
      GuardedFloats red(width, guard), green(width, guard), blue(width, guard);
      GuardedFloats out(3 * width, guard);
      for (size_t x = 0; x < width; ++x) {
        red.data()[x] = static_cast<float>(x);
        green.data()[x] = static_cast<float>(100 + x);
        blue.data()[x] = static_cast<float>(200 + x);
      }
      cpu::interleave(red.data(), green.data(), blue.data(), static_cast<int>(width), out.data());
      for (size_t x = 0; x < width; ++x)
        for (size_t c = 0; c < 3; ++c)
          ASSERT_EQ(out.data()[3 * x + c], static_cast<float>(100 * c + x)) << width << " " << x;
    }
  }
}

}  // namespace
}  // namespace face::test
