// SPDX-License-Identifier: MIT
#include "kernels/cpu/interleave.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/interleave.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target:
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace face::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void interleave_row(const float* red, const float* green, const float* blue, int width,
                    float* out) {
  const hn::ScalableTag<float> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  int x = 0;
  for (; x + lanes <= width; x += lanes)
    hn::StoreInterleaved3(hn::LoadU(d, red + x), hn::LoadU(d, green + x), hn::LoadU(d, blue + x), d,
                          out + 3 * x);
  for (; x < width; ++x) {
    out[3 * x] = red[x];
    out[3 * x + 1] = green[x];
    out[3 * x + 2] = blue[x];
  }
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace face::cpu {

HWY_EXPORT(interleave_row);

void interleave(const float* red, const float* green, const float* blue, int width, float* out) {
  HWY_DYNAMIC_DISPATCH(interleave_row)(red, green, blue, width, out);
}

}  // namespace face::cpu
#endif  // HWY_ONCE
