// SPDX-License-Identifier: MIT
// weights_tool/synth/random.h - random numbers that are the same on every machine: integer
// arithmetic and single roundings only, no library's distribution.
#pragma once

#include <cstdint>
#include <string_view>

namespace face::synth {

/// A stream of its own for every (seed, name).
/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
class Random {
 public:
  Random(uint64_t seed, std::string_view name);

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Mean 0, variance 1, within +-3.5: the sum of four uniform 16-bit numbers.
  float normal() {
    const uint64_t bits = next();
    const int64_t sum = static_cast<int64_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                             ((bits >> 32) & 0xffff) + (bits >> 48));
    return static_cast<float>(sum - 2 * 0xffff) * kPerUnit;
  }
  float uniform(float low, float high) {
    return low + (high - low) * (static_cast<float>(next() >> 40) * 0x1p-24f);
  }

 private:
  static constexpr float kPerUnit = 2.6428997e-5f;  // sqrt(3) / 65536
  uint64_t state_;
};

}  // namespace face::synth
