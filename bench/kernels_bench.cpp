// SPDX-License-Identifier: MIT
// bench/kernels_bench.cpp - the steps between pixels, networks and faces, on one core. Bytes are
// the source pixels that are read plus the network input that is written.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "bench/limits.h"
#include "kernels/cpu/align.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/letterbox.h"
#include "kernels/cpu/nms.h"

namespace face::cpu {
namespace {

constexpr Normalisation kNormalisation{127.5f, 1.f / 128};

struct Picture {
  Picture(int width, int height) : pixels(size_t(3) * width * height), view{} {
    uint32_t state = 1;
    for (auto& v : pixels) v = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
    view = {pixels.data(), width, height, size_t(3) * width};
  }
  std::vector<uint8_t> pixels;
  ImageView view;
};

/// Source bytes that a letterbox touches at least: two rows per row of the result.
int64_t source_bytes(const ImageView& image, const Fit& fit) {
  return int64_t(3) * image.width * std::min(image.height, 2 * fit.height);
}

/// args: width, height, net size, 1 if the padding is already there.
void BM_Letterbox(benchmark::State& state) {
  const Picture picture(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const int size = static_cast<int>(state.range(2));
  std::vector<float> memory(size_t(3) * size * size);
  const InputImage out{memory.data(), size, size, PixelLayout::kNchw};
  Letterbox letterbox(size);
  Fit fit = letterbox.run(picture.view, kNormalisation, out);
  const bool again = state.range(3) != 0;
  for (auto _ : state) {
    fit = letterbox.run(picture.view, kNormalisation, out, again ? &fit : nullptr);
    benchmark::ClobberMemory();
  }
  const int64_t written = again ? int64_t(12) * fit.width * fit.height : int64_t(12) * size * size;
  // Two lines, each interpolated between two pixels and then between each other, normalised.
  const double flop = 3. * fit.width * fit.height * (3 * 3 + 2);
  bench::report(state, {flop, double(source_bytes(picture.view, fit) + written)}, 1);
}
BENCHMARK(BM_Letterbox)
    ->Args({1920, 1080, 640, 0})
    ->Args({1920, 1080, 640, 1})
    ->Args({1280, 720, 640, 1})
    ->Args({4000, 3000, 640, 1})
    ->Args({250, 250, 640, 1})
    ->Args({1920, 1080, 128, 1})
    ->Unit(benchmark::kMicrosecond);

/// Three levels of a 640 x 640 head with `faces` faces, ten anchors over the threshold each.
struct Heads {
  explicit Heads(int faces) {
    std::mt19937 random(7);
    std::normal_distribution<float> noise(0.f, 0.05f);
    for (int stride : {8, 16, 32}) {
      const int grid = 640 / stride;
      auto& level = values.emplace_back(size_t(grid) * grid * 30, 1.5f);
      for (size_t i = 0; i < level.size(); i += 30) level[i] = level[i + 1] = -6.f;
      views.push_back({level.data(), grid, grid, 30, stride, 2, 0, 2, 10});
    }
    auto& fine = values.front();
    for (int i = 0; i < faces * 10; ++i) {
      const int face = i / 10, dx = i % 3 - 1, dy = i % 4 - 1;
      const int x = 4 + face % 12 * 6 + dx, y = 4 + face / 12 * 6 + dy;
      float* cell = fine.data() + (size_t(y % 80) * 80 + x) * 30;
      cell[i % 2] = 2.f + noise(random);
      const float box[4] = {2.5f + dx, 2.5f + dy, 2.5f - dx, 2.5f - dy};  // around the same face
      for (int k = 0; k < 4; ++k) cell[2 + i % 2 * 4 + k] = box[k] + noise(random);
    }
  }
  std::vector<std::vector<float>> values;
  std::vector<LevelView> views;
};

/// args: faces, threshold in percent.
void BM_DecodeAndNms(benchmark::State& state) {
  const Heads heads(static_cast<int>(state.range(0)));
  const float threshold = static_cast<float>(state.range(1)) / 100.f;
  Candidates candidates(4096);
  Nms nms(4096);
  std::vector<Detection> kept;
  for (auto _ : state) {
    candidates.clear();
    uint32_t first = 0;
    for (const LevelView& level : heads.views) {
      benchmark::DoNotOptimize(decode_level(level, threshold, 0.5f, first, candidates));
      first += level.anchor_count();
    }
    nms.run(candidates.sorted(), 0.4f, kept);
    benchmark::ClobberMemory();
  }
  state.counters["kept"] = static_cast<double>(kept.size());
  bench::report(state, {0, 8400. * 30 * 4}, 1);
}
BENCHMARK(BM_DecodeAndNms)
    ->Args({0, 50})
    ->Args({1, 50})
    ->Args({30, 50})
    ->Args({140, 50})
    ->Args({140, 0})
    ->Unit(benchmark::kMicrosecond);

/// arg: faces, ten candidates each. Most of the work is comparing pairs of boxes.
void BM_Nms(benchmark::State& state) {
  const Heads heads(static_cast<int>(state.range(0)));
  Candidates candidates(4096);
  uint32_t first = 0;
  for (const LevelView& level : heads.views) {
    benchmark::DoNotOptimize(decode_level(level, 0.5f, 0.5f, first, candidates));
    first += level.anchor_count();
  }
  const auto sorted = candidates.sorted();
  Nms nms(4096);
  std::vector<Detection> kept;
  for (auto _ : state) {
    nms.run(sorted, 0.4f, kept);
    benchmark::ClobberMemory();
  }
  const auto boxes = static_cast<double>(sorted.size());
  state.counters["kept"] = static_cast<double>(kept.size());
  // Each kept box is held against each that is left: about 14 operations.
  bench::report(state, {14 * boxes * double(kept.size()) / 2, boxes * sizeof(Detection)}, 1);
}
BENCHMARK(BM_Nms)->Arg(1)->Arg(30)->Arg(140)->Unit(benchmark::kMicrosecond);

/// arg: width of the face in the picture, pixels.
void BM_Align(benchmark::State& state) {
  const Picture picture(1920, 1080);
  const double scale = static_cast<double>(state.range(0)) / 112.;
  const Affine map{{scale, 0.1 * scale, 400.3, -0.1 * scale, scale, 300.7}};
  std::vector<float> memory(size_t(3) * 112 * 112);
  Align align(112);
  for (auto _ : state) {
    align.warp(picture.view, map, kNormalisation, {memory.data(), 112, 112, PixelLayout::kNchw});
    benchmark::ClobberMemory();
  }
  // Four neighbours of three bytes each for a pixel of three floats; position, weights, blend.
  bench::report(state, {112. * 112 * (4 + 3 * 11), 112. * 112 * (12 + 12)}, 1);
}
BENCHMARK(BM_Align)->Arg(40)->Arg(112)->Arg(400)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace face::cpu

int main(int argc, char** argv) {
  face::bench::add_limits_to_context();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
