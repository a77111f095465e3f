// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/meetings.h"

namespace face::cuda::emu {

Meetings::Meetings() {
  for (auto& meetings : meetings_) meetings.reserve(kWarp);
}

void Meetings::clear() {
  for (auto& meetings : meetings_)
    for (Meeting& m : meetings) m.arrived = 0;
}

Meeting& Meetings::of(int warp, uint32_t mask, Site site) {
  auto& meetings = meetings_[warp];
  Meeting* free = nullptr;
  for (Meeting& m : meetings) {
    if (m.arrived == 0) {
      free = &m;
    } else if ((m.mask & mask) != 0) {
      return m;
    }
  }
  if (free == nullptr) free = &meetings.emplace_back();
  free->mask = mask;
  free->site = site;
  free->operation = nullptr;
  return *free;
}

}  // namespace face::cuda::emu
