// SPDX-License-Identifier: MIT
// bench/conv_bench.cpp - our convolution kernels on the layers of the networks: GFLOP/s as a direct
// convolution would count them, bytes, and the share of what the machine's cores or memory allow.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "bench/limits.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/conv_memory.h"

namespace face::bench {
namespace {

struct Layer {
  const char* network;
  int in, out, size, stride, batch;
  int kernel = 3;
  bool depthwise = false;
};

constexpr Layer kLayers[] = {
    {"det_10g", 28, 28, 320, 1, 1},
    {"det_10g", 28, 56, 320, 1, 1},
    {"det_10g", 56, 56, 160, 1, 1},
    {"det_10g", 88, 88, 80, 1, 1},
    {"det_10g", 88, 88, 40, 1, 1},
    {"det_10g", 224, 224, 20, 1, 1},
    {"det_10g", 56, 80, 80, 1, 1},
    {"det_10g", 80, 80, 80, 1, 1},
    {"w600k_r50", 64, 64, 112, 1, 1},
    {"w600k_r50", 64, 64, 56, 1, 1},
    {"w600k_r50", 128, 128, 28, 1, 1},
    {"w600k_r50", 256, 256, 14, 1, 1},
    {"w600k_r50", 512, 512, 7, 1, 1},
    {"w600k_r50", 256, 256, 14, 1, 8},
    {"w600k_r50", 512, 512, 7, 1, 8},
    {"det_10g", 3, 28, 640, 2, 1},
    {"det_10g", 56, 88, 80, 2, 1, 1},
    {"w600k_r50", 64, 64, 112, 2, 1},
    {"w600k_r50", 128, 128, 56, 2, 1},
    {"w600k_r50", 256, 256, 28, 2, 1},
    {"w600k_r50", 256, 512, 14, 2, 1, 1},
    {"w600k_r50", 25088, 512, 1, 1, 1, 1},
    {"w600k_r50", 25088, 512, 1, 1, 8, 1},
    {"w600k_mbf", 64, 128, 56, 1, 1, 1},
    {"w600k_mbf", 128, 256, 28, 1, 1, 1},
    {"w600k_mbf", 256, 128, 14, 1, 1, 1},
    {"w600k_mbf", 128, 128, 56, 1, 1, 3, true},
    {"w600k_mbf", 256, 256, 28, 2, 1, 3, true},
    {"w600k_mbf", 256, 256, 14, 1, 1, 3, true},
    {"scrfd_500m", 16, 16, 320, 1, 1, 3, true},
    {"scrfd_500m", 16, 16, 320, 1, 1, 1},
    {"scrfd_500m", 40, 40, 160, 1, 1, 1},
    {"w600k_mbf", 512, 512, 7, 1, 1, 7, true},
};

/// Depthwise and 1x1 convolutions as one layer.
constexpr Layer kSeparable[] = {
    {"scrfd_500m", 16, 16, 320, 1, 1}, {"scrfd_500m", 16, 40, 320, 2, 1},
    {"scrfd_500m", 40, 40, 160, 1, 1}, {"scrfd_500m", 288, 288, 20, 1, 1},
    {"w600k_mbf", 128, 128, 56, 1, 1}, {"w600k_mbf", 256, 256, 14, 1, 1},
};

std::vector<float> random_floats(size_t size) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& v : values) v = normal(generator);
  return values;
}

cpu::ConvDesc describe(const Layer& layer) {
  cpu::ConvDesc d;
  d.max_batch = layer.batch;
  d.in_channels = layer.in;
  d.out_channels = layer.out;
  d.in_height = d.in_width = layer.size;
  d.stride = layer.stride;
  d.groups = layer.depthwise ? layer.in : 1;
  d.kernel_h = d.kernel_w = layer.kernel;
  d.pad_top = d.pad_left = layer.kernel == layer.size ? 0 : layer.kernel / 2;
  d.out_height = d.out_width =
      layer.kernel == layer.size && layer.kernel > 1 ? 1 : (layer.size - 1) / layer.stride + 1;
  d.activation = cpu::ConvActivation::kRelu;
  return d;
}

/// Weights are copied `copies` times and used in turn, so that they come from where they would in
/// a network: memory, if all its layers together outgrow the caches.
void run_layer(benchmark::State& state, const cpu::ConvDesc& d, cpu::ConvAlgorithm algorithm,
               cpu::ConvPrecision precision, int threads) {
  const size_t taps = size_t(d.in_channels / d.groups) * d.kernel_h * d.kernel_w;  // per output
  const auto weights = random_floats(size_t(d.out_channels) * taps);
  const cpu::ConvWeights w{weights.data(), nullptr, nullptr};
  std::vector<std::unique_ptr<cpu::Conv>> convs;
  size_t bytes = 0;
  do {
    convs.push_back(
        cpu::make_conv(algorithm, cpu::best_conv_isa(precision, algorithm), d, w, precision));
    bytes += convs.back()->weight_bytes();
  } while (bytes < (64u << 20) && convs.size() < 8);
  const int batch = d.max_batch;
  const size_t in = static_cast<size_t>(batch) * d.in_height * d.in_width * d.in_channels;
  const size_t out = static_cast<size_t>(batch) * d.out_height * d.out_width * d.out_channels;
  auto input = random_floats(in);
  std::vector<float> output(out);
  const auto scratch = cpu::aligned_zeros(convs[0]->scratch_bytes(threads) / sizeof(float));
  const auto parallel = cpu::openmp_parallel(threads);
  size_t turn = 0;
  for (auto _ : state) {
    convs[turn++ % convs.size()]->run(input.data(), nullptr, output.data(), batch, scratch.get(),
                                      parallel);
  }
  const double own_weights = static_cast<double>(bytes) / static_cast<double>(convs.size());
  const double maps = (d.bf16_input ? 2. : 4.) * double(in + out);
  report(state, {2. * double(out) * double(taps), maps + own_weights}, threads);
}

/// A depthwise 3x3 and a 1x1 convolution, as one layer: `in` channels to `out`.
void run_separable(benchmark::State& state, const Layer& layer, cpu::ConvAlgorithm algorithm,
                   cpu::ConvPrecision precision, int threads) {
  Layer first = layer, second = layer;
  first.out = layer.in;
  first.depthwise = true;
  second.kernel = second.stride = 1;
  second.size = (layer.size - 1) / layer.stride + 1;
  const cpu::ConvDesc d = describe(first), p = describe(second);
  const auto own = random_floats(size_t(d.in_channels) * 9);
  const auto weights = random_floats(size_t(p.out_channels) * p.in_channels);
  const auto conv = cpu::make_separable(cpu::best_conv_isa(precision, algorithm), d, {own.data()},
                                        p, {weights.data()}, precision, algorithm);
  const size_t in = size_t(d.in_height) * d.in_width * d.in_channels;
  const size_t out = size_t(p.out_height) * p.out_width * p.out_channels;
  const auto input = random_floats(in);
  std::vector<float> output(out);
  const auto scratch = cpu::aligned_zeros(conv->scratch_bytes(threads) / sizeof(float));
  const auto parallel = cpu::openmp_parallel(threads);
  for (auto _ : state) conv->run(input.data(), nullptr, output.data(), 1, scratch.get(), parallel);
  const double middle = double(p.in_height) * p.in_width * p.in_channels;
  report(state,
         {2. * (middle * 9 + double(out) * p.in_channels),
          4. * double(in + out) + static_cast<double>(conv->weight_bytes())},
         threads);
}

std::string name_of(const Layer& layer, const std::string& kernel, cpu::ConvPrecision precision,
                    int threads) {
  return std::string(layer.network) + "/" + std::to_string(layer.in) + "->" +
         std::to_string(layer.out) + "@" + std::to_string(layer.size) + "/k" +
         std::to_string(layer.kernel) + "s" + std::to_string(layer.stride) + "/b" +
         std::to_string(layer.batch) + "/" + kernel +
         (precision == cpu::ConvPrecision::kBf16 ? "_bf16" : "") +
         "/threads:" + std::to_string(threads);
}

template <typename F>
void register_benchmark(const std::string& name, const F& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond)
      ->MeasureProcessCPUTime();
}

/// `bf16_maps`: input and output are stored as bfloat16.
void register_layer(const Layer& layer, cpu::ConvPrecision precision, bool bf16_maps, int threads) {
  cpu::ConvDesc d = describe(layer);
  d.bf16_input = d.bf16_output = bf16_maps;
  for (const auto algorithm : cpu::conv_algorithms(d, precision)) {
    if (algorithm == cpu::ConvAlgorithm::kTiles && !cpu::has_matrix_unit()) continue;
    const std::string kernel = std::string(cpu::to_string(algorithm)) + (bf16_maps ? "_maps" : "");
    register_benchmark(name_of(layer, kernel, precision, threads), [=](benchmark::State& state) {
      run_layer(state, d, algorithm, precision, threads);
    });
  }
}

void register_separable(const Layer& layer, cpu::ConvPrecision precision, int threads) {
  using cpu::ConvAlgorithm;
  std::vector<ConvAlgorithm> algorithms{ConvAlgorithm::kDirect};
  if (precision == cpu::ConvPrecision::kBf16 && cpu::has_matrix_unit())
    algorithms.push_back(ConvAlgorithm::kTiles);
  for (const auto algorithm : algorithms) {
    const std::string kernel = std::string("depthwise_") + cpu::to_string(algorithm);
    register_benchmark(name_of(layer, kernel, precision, threads), [=](benchmark::State& state) {
      run_separable(state, layer, algorithm, precision, threads);
    });
  }
}

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) {
  face::bench::add_limits_to_context();
  using face::cpu::ConvPrecision;
  const bool bf16 = face::cpu::supported(face::cpu::ConvIsa::kAvx512Bf16, ConvPrecision::kBf16);
  for (const int threads : {1, 2}) {
    for (const auto& layer : face::bench::kLayers) {
      face::bench::register_layer(layer, ConvPrecision::kFp32, false, threads);
      if (!bf16) continue;
      for (const bool maps : {false, true})
        face::bench::register_layer(layer, ConvPrecision::kBf16, maps, threads);
    }
    for (const auto& layer : face::bench::kSeparable) {
      face::bench::register_separable(layer, ConvPrecision::kFp32, threads);
      if (bf16) face::bench::register_separable(layer, ConvPrecision::kBf16, threads);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
