// SPDX-License-Identifier: MIT
// bench/layers_bench.cpp - the layers that are no convolutions, in the sizes of the networks:
// pools, upsampling, addition, affine, activation, on one and two threads.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "bench/limits.h"
#include "engine/cpu/layer.h"
#include "kernels/cpu/conv_memory.h"

namespace face::bench {
namespace {

struct Case {
  const char* name;
  OpKind kind;
  int channels, size, out_size, kernel, stride, pad;
  Activation activation;
  bool addend;
  double flop_per_output;
};

constexpr Case kCases[] = {
    {"max_pool/56@320/k3s2", OpKind::kMaxPool, 56, 320, 160, 3, 2, 1, Activation::kNone, false, 9},
    {"average_pool/56@160/k2s2", OpKind::kAveragePool, 56, 160, 80, 2, 2, 0, Activation::kNone,
     false, 4},
    {"upsample2x/56@40", OpKind::kUpsample2x, 56, 40, 80, 1, 1, 0, Activation::kNone, false, 0},
    {"add/64@56", OpKind::kAdd, 64, 56, 56, 1, 1, 0, Activation::kNone, true, 1},
    {"affine/64@112", OpKind::kAffine, 64, 112, 112, 1, 1, 0, Activation::kNone, false, 2},
    {"affine_prelu/64@112", OpKind::kAffine, 64, 112, 112, 1, 1, 0, Activation::kPrelu, false, 3},
    {"affine/512@7", OpKind::kAffine, 512, 7, 7, 1, 1, 0, Activation::kNone, false, 2},
};

std::vector<float> random_floats(size_t size) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& v : values) v = normal(generator);
  return values;
}

Op make_op(const Case& c, const std::vector<float>& table) {
  Op op;
  op.kind = c.kind;
  op.name = c.name;
  op.kernel_h = op.kernel_w = c.kernel;
  op.stride_h = op.stride_w = c.stride;
  op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = c.pad;
  op.activation = c.activation;
  if (c.addend) op.addend = 1;
  if (c.activation == Activation::kPrelu) op.slopes = table;
  if (c.kind == OpKind::kAffine) {
    op.weights = op.bias = table;
    op.bias_kind = BiasKind::kPerChannel;
  }
  return op;
}

void run_case(benchmark::State& state, const Case& c, int threads) {
  const auto table = random_floats(static_cast<size_t>(c.channels));
  const Op op = make_op(c, table);
  const Shape in{c.channels, c.size, c.size}, out{c.channels, c.out_size, c.out_size};
  const auto layer = cpu::make_plain_layer(op, {in, out, 1});
  const size_t in_floats = size_t(c.channels) * c.size * c.size;
  const size_t out_floats = size_t(c.channels) * c.out_size * c.out_size;
  const auto input = random_floats(in_floats);
  const auto addend = random_floats(c.addend ? out_floats : 0);
  std::vector<float> output(out_floats);
  const auto scratch = cpu::aligned_zeros(layer->scratch_bytes(threads) / sizeof(float) + 1);
  const auto parallel = cpu::openmp_parallel(threads);
  for (auto _ : state) {
    layer->run(input.data(), c.addend ? addend.data() : nullptr, output.data(), 1, scratch.get(),
               parallel);
    benchmark::ClobberMemory();
  }
  const size_t floats = in_floats + addend.size() + out_floats;
  report(state, {c.flop_per_output * double(out_floats), 4. * double(floats)}, threads);
}

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) {
  face::bench::add_limits_to_context();
  for (const int threads : {1, 2}) {
    for (const auto& c : face::bench::kCases) {
      const std::string name = std::string(c.name) + "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(
          name.c_str(), [=](benchmark::State& state) { face::bench::run_case(state, c, threads); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
