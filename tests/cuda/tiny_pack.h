// SPDX-License-Identifier: MIT
// tests/cuda/tiny_pack.h - detector and recogniser of small random weights, and pictures of noise.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "tests/engine/fake_backend.h"

namespace face::test {

inline std::shared_ptr<FakePack> tiny_pack() {
  auto pack = std::make_shared<FakePack>();
  fill_detector(pack->detector_net);
  fill_recogniser(pack->recogniser_net);
  std::mt19937 generator(3);
  for (auto* net : {&pack->detector_net, &pack->recogniser_net})
    for (auto& array : net->arrays) {
      std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
      for (float& v : array) v = uniform(generator);
    }
  return pack;
}

class Noise {
 public:
  Noise(int width, int height, uint32_t seed) : width_(width), height_(height) {
    std::mt19937 generator(seed);
    for (int i = 0; i < width * height * 3; ++i)
      pixels_.push_back(static_cast<uint8_t>(generator()));
  }
  [[nodiscard]] ImageView view() const {
    return {pixels_.data(), width_, height_, size_t(width_) * 3};
  }

 private:
  int width_, height_;
  std::vector<uint8_t> pixels_;
};

}  // namespace face::test
