// SPDX-License-Identifier: MIT
// bench/kernels_bench.cpp - the steps between pixels, networks and faces, on one core: time and
// bytes moved (source pixels that are read plus network input that is written).
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/cpu/letterbox.h"

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
  state.SetBytesProcessed(state.iterations() * (source_bytes(picture.view, fit) + written));
}
BENCHMARK(BM_Letterbox)
    ->Args({1920, 1080, 640, 0})
    ->Args({1920, 1080, 640, 1})
    ->Args({1280, 720, 640, 1})
    ->Args({4000, 3000, 640, 1})
    ->Args({250, 250, 640, 1})
    ->Args({1920, 1080, 128, 1})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace face::cpu

BENCHMARK_MAIN();
