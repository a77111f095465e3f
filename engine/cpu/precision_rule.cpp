// SPDX-License-Identifier: MIT
#include "engine/cpu/precision_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "engine/cpu/arena.h"

namespace face::cpu {
namespace {

/// Smallest number of multiplications of a layer that bfloat16 computes.
uint64_t least_bf16_work(const Network& network, const std::vector<Shape>& shapes) {
  constexpr double kSmallShare = 0.25;
  std::vector<uint64_t> work;
  uint64_t total = 0;
  for (const Op& op : network.ops) {
    work.push_back(mac_count(op, shapes));
    total += work.back();
  }
  std::sort(work.begin(), work.end());
  uint64_t sum = 0;
  for (const uint64_t w : work) {
    sum += w;
    if (static_cast<double>(sum) > kSmallShare * static_cast<double>(total)) return w;
  }
  return 0;
}

/// cos(2 pi (cycles * i / size + phase)) for i in [0, size).
std::vector<float> wave(int size, double cycles, double phase) {
  std::vector<float> values(size);
  for (int i = 0; i < size; ++i) {
    const double turns = cycles * i / size + phase;
    values[i] = static_cast<float>(std::cos(2 * std::numbers::pi * turns));
  }
  return values;
}

/// The same numbers in every process and on every machine.
class Random {
 public:
  double share() { return static_cast<double>(generator_()) / std::mt19937::max(); }  // 0 to 1

 private:
  std::mt19937 generator_{1};
};

/// Smooth: waves of all lengths.
std::vector<float> waves(const Shape& shape) {
  constexpr int kWaves = 12;
  Random random;
  std::vector<float> picture(size_t(shape.channels) * shape.height * shape.width);
  for (size_t c = 0; c < size_t(shape.channels); ++c) {
    for (int k = 0; k < kWaves; ++k) {
      const double cycles = std::exp2(0.5 * k);  // of the shorter lengths 45
      const auto rows = wave(shape.height, cycles * random.share(), random.share());
      const auto cols = wave(shape.width, cycles * random.share(), random.share());
      float* out = picture.data() + c * shape.height * shape.width;
      for (const float row : rows)
        for (const float col : cols) *out++ += 0.4f * row * col;
    }
  }
  for (float& v : picture) v = std::clamp(v, -1.f, 1.f);
  return picture;
}

/// Rough: squares of one brightness, and noise on all of it.
std::vector<float> patches(const Shape& shape) {
  constexpr int kSide = 8;
  Random random;
  const auto uniform = [&] { return static_cast<float>(2 * random.share() - 1); };
  const int across = shape.width / kSide + 1;
  std::vector<float> picture, brightness(across);
  for (int c = 0; c < shape.channels; ++c)
    for (int y = 0; y < shape.height; ++y) {
      if (y % kSide == 0) std::generate(brightness.begin(), brightness.end(), uniform);
      for (int x = 0; x < shape.width; ++x)
        picture.push_back(0.8f * brightness[x / kSide] + 0.2f * uniform());
    }
  return picture;
}

}  // namespace

PrecisionRule::PrecisionRule(const Network& network, const std::vector<Shape>& shapes,
                             Precision wanted, bool matrix_unit)
    : network_(network),
      shapes_(shapes),
      wanted_(wanted),
      matrix_unit_(matrix_unit),
      leaving_(leaving_tensors(network)),
      least_work_(least_bf16_work(network, shapes)) {}

bool PrecisionRule::is_shallow(const Op& op) const {
  constexpr int kFewChannels = 16;
  return network_.tensors[op.input].channels / op.groups < kFewChannels;
}

Precision PrecisionRule::precision_of(const Op& op) const {
  if (matrix_unit_) return op.groups == 1 ? wanted_ : Precision::kFp32;
  const bool takes =
      !is_shallow(op) && !leaving_[op.output] && mac_count(op, shapes_) >= least_work_;
  return takes ? wanted_ : Precision::kFp32;
}

double PrecisionRule::most_error(const Op& op) const {
  constexpr double kOfSums = 1e-4;
  return is_shallow(op) ? kOfSums : std::numeric_limits<double>::infinity();
}

std::vector<std::vector<float>> probe_pictures(const Shape& shape) {
  return {waves(shape), patches(shape)};
}

double worst_error(const std::vector<std::vector<float>>& outputs,
                   const std::vector<std::vector<float>>& exact) {
  double worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    double error = 0, norm = 0;
    for (size_t k = 0; k < exact[i].size(); ++k) {
      const double difference = outputs[i][k] - exact[i][k];
      error += difference * difference;
      norm += double(exact[i][k]) * exact[i][k];
    }
    const double relative = error == 0 ? 0 : std::sqrt(error / norm);
    if (std::isnan(relative)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, relative);
  }
  return worst;
}

bool agree(const std::vector<std::vector<float>>& outputs,
           const std::vector<std::vector<float>>& exact, double tolerance) {
  return worst_error(outputs, exact) <= tolerance;
}

}  // namespace face::cpu
