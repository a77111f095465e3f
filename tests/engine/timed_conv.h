// SPDX-License-Identifier: MIT
// tests/engine/timed_conv.h - a convolution with three ways to compute it, as if they had been
// timed.
#pragma once

#include "engine/cpu/choice.h"

namespace face::test {

/// The faster a way should be, the less exact it is and the more its weights take.
inline cpu::TimedConv timed(double exact_ms, double middling_ms, double coarse_ms) {
  cpu::TimedConv conv;
  conv.ways = {{"exact", {}, 0}, {"middling", {}, 4e-3}, {"coarse", {}, 1.2e-2}};
  conv.timings = {
      {"exact", exact_ms, 100}, {"middling", middling_ms, 200}, {"coarse", coarse_ms, 400}};
  return conv;
}

}  // namespace face::test
