// SPDX-License-Identifier: MIT
#include "kernels/cpu/nms.h"

#include "kernels/math/iou.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/nms.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target:
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace face::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Marks the boxes in [begin, end) that box `i` suppresses; also touches a vector beyond `end`.
/// The arithmetic is iou()'s, operation by operation.
void suppress(const NmsBoxes& b, size_t i, size_t begin, size_t end, float threshold) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto x1 = hn::Set(d, b.x1[i]), y1 = hn::Set(d, b.y1[i]), x2 = hn::Set(d, b.x2[i]),
             y2 = hn::Set(d, b.y2[i]), area = hn::Set(d, b.area[i]);
  const auto one = hn::Set(d, 1.f), zero = hn::Zero(d), limit = hn::Set(d, threshold);
  for (size_t j = begin; j < end; j += hn::Lanes(d)) {
    const auto left = hn::Max(x1, hn::LoadU(d, b.x1 + j));
    const auto top = hn::Max(y1, hn::LoadU(d, b.y1 + j));
    const auto right = hn::Min(x2, hn::LoadU(d, b.x2 + j));
    const auto bottom = hn::Min(y2, hn::LoadU(d, b.y2 + j));
    const auto w = hn::Max(hn::Add(hn::Sub(right, left), one), zero);
    const auto h = hn::Max(hn::Add(hn::Sub(bottom, top), one), zero);
    const auto shared = hn::Mul(w, h);
    const auto all = hn::Sub(hn::Add(area, hn::LoadU(d, b.area + j)), shared);
    const auto keeps = hn::VecFromMask(d, hn::Le(hn::Div(shared, all), limit));
    const auto dead = hn::LoadU(du, b.dead + j);
    hn::StoreU(hn::Or(dead, hn::Not(hn::BitCast(du, keeps))), du, b.dead + j);
  }
}

}  // namespace face::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace face::cpu {

HWY_EXPORT(suppress);

namespace {
constexpr size_t kSlack = 64;  // floats of the longest vector, at least
}

Nms::Nms(size_t capacity)
    : x1_(capacity + kSlack),
      y1_(capacity + kSlack),
      x2_(capacity + kSlack),
      y2_(capacity + kSlack),
      area_(capacity + kSlack),
      dead_(capacity + kSlack) {}

void Nms::run(std::span<const Candidate> candidates, float threshold,
              std::vector<Detection>& kept) {
  const size_t count = candidates.size();
  for (size_t i = 0; i < count; ++i) {
    const Box box = box_of(candidates[i].detection);
    x1_[i] = box.x1, y1_[i] = box.y1, x2_[i] = box.x2, y2_[i] = box.y2;
    area_[i] = box_area(box);
    dead_[i] = 0;
  }
  const NmsBoxes boxes{x1_.data(), y1_.data(), x2_.data(), y2_.data(), area_.data(), dead_.data()};
  kept.clear();
  for (size_t i = 0; i < count; ++i) {
    if (dead_[i] != 0) continue;
    kept.push_back(candidates[i].detection);
    HWY_DYNAMIC_DISPATCH(suppress)(boxes, i, i + 1, count, threshold);
  }
}

}  // namespace face::cpu
#endif  // HWY_ONCE
