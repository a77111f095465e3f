// SPDX-License-Identifier: MIT
#include "weights_tool/synth/random.h"

namespace face::synth {

// FNV-1a of the name, mixed with the seed.
Random::Random(uint64_t seed, std::string_view name) : state_(0xcbf29ce484222325u) {
  for (const char c : name) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  state_ ^= seed * 0x9e3779b97f4a7c15u;
  state_ = next();
}

}  // namespace face::synth
