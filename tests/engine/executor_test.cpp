// SPDX-License-Identifier: MIT
// tests/engine/executor_test.cpp - the CPU executor against the float64 interpreter.
#include "engine/cpu/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/error.h"
#include "engine/reference/network_interpreter.h"
#include "tests/engine/op_cases.h"

namespace face {
namespace {

using test::OpCase;
using test::OwnedNetwork;

std::vector<float> random_input(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& v : values) v = distribution(generator);
  return values;
}

/// Image `image` of the network's first output against the interpreter: relative L2.
double relative_error(const Network& network, const std::vector<float>& input, int image,
                      std::span<const float> output) {
  const Shape in{3, network.input.height, network.input.width};
  const size_t plane = size_t(3) * in.height * in.width;
  const reference::Values x{in, {&input[image * plane], &input[image * plane] + plane}};
  const reference::Values y = reference::run(network, x)[network.outputs[0].tensor];
  const size_t pixels = size_t(y.shape.height) * y.shape.width, channels = y.shape.channels;
  double error = 0, norm = 0;
  for (size_t c = 0; c < channels; ++c) {
    for (size_t p = 0; p < pixels; ++p) {
      const double want = y.data[c * pixels + p];
      const double got = output[(image * pixels + p) * channels + c];
      error += (got - want) * (got - want);
      norm += want * want;
    }
  }
  return std::sqrt(error / norm);
}

struct Way {
  const char* name;
  const char* accepted;  // part of a candidate's name; empty: all
  Precision precision;
  double tolerance;
};
/// fp32: a rounding of 6e-8 per product, few hundred of them, Winograd up to ten times that.
/// bf16: every number of two layers rounded to 8 bits, up to 2^-9 each, at random; transforms
/// amplify that 1.7, 2.9 and 4.8 times (conv_winograd_test.cpp) in the second layer alone.
constexpr Way kWays[] = {{"fastest", "", Precision::kFp32, 3e-6},
                         {"onednn", "onednn", Precision::kFp32, 3e-6},
                         {"direct", "direct", Precision::kFp32, 3e-6},
                         {"winograd2x2", "winograd2x2", Precision::kFp32, 3e-6},
                         {"winograd2x4", "winograd2x4", Precision::kFp32, 3e-6},
                         {"winograd4x4", "winograd4x4", Precision::kFp32, 3e-6},
                         {"separable", "depthwise_direct", Precision::kFp32, 3e-6},
                         {"bf16_separable", "depthwise_direct_bf16", Precision::kBf16, 8e-3},
                         {"bf16", "onednn", Precision::kBf16, 8e-3},
                         {"bf16_direct", "direct_bf16", Precision::kBf16, 8e-3},
                         {"bf16_2x2", "winograd2x2_bf16", Precision::kBf16, 1e-2},
                         {"bf16_2x4", "winograd2x4_bf16", Precision::kBf16, 1.3e-2},
                         {"bf16_4x4", "winograd4x4_bf16", Precision::kBf16, 2e-2},
                         {"bf16_any", "", Precision::kBf16, 2e-2}};

/// The executable, the convolution named `op` computed by `way` alone and the others by anything;
/// null if the way cannot.
std::unique_ptr<Executable> compile(const Network& network, const Way& way, const char* op) {
  cpu::ExecutorOptions options;
  options.compile = {.precision = way.precision, .max_batch = 3, .threads = 2};
  options.accept = [&way, op](const Op& at, const std::string& candidate) {
    return at.name != op || candidate.find(way.accepted) != std::string::npos;
  };
  try {
    return cpu::make_executor(network, options);
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 ("op '" + std::string(op) + "': nothing on this CPU computes it").c_str());
    return nullptr;
  }
}

class EveryOp : public testing::TestWithParam<OpCase> {};

TEST_P(EveryOp, MatchesInterpreterInEverySlot) {
  OwnedNetwork owned;
  test::fill_op_case(owned, GetParam());
  const Network& network = owned.network;
  validate(network, "test");
  const size_t image = size_t(3) * network.input.height * network.input.width;
  const std::vector<float> input = random_input(3 * image, 9);
  for (const Way& way : kWays) {
    const auto executable = compile(network, way, GetParam().name);
    if (executable == nullptr) continue;
    executable->run(input.data(), 3);
    const auto output = executable->output(network.outputs[0].tensor);
    for (int slot = 0; slot < 3; ++slot) {
      const double error = relative_error(network, input, slot, output);
      EXPECT_LE(error, way.tolerance) << way.name << ", slot " << slot;
    }
  }
}

TEST_P(EveryOp, GivesTheSameBitsInEverySlotAndBatch) {
  OwnedNetwork owned;
  test::fill_op_case(owned, GetParam());
  const Network& network = owned.network;
  const TensorId out = network.outputs[0].tensor;
  const size_t image = size_t(3) * network.input.height * network.input.width;
  std::vector<float> input = random_input(image, 4);
  for (const Way& way : kWays) {
    const auto executable = compile(network, way, GetParam().name);
    if (executable == nullptr) continue;
    executable->run(input.data(), 1);
    const size_t size = executable->output(out).size() / 3;
    const std::vector<float> alone(executable->output(out).begin(),
                                   executable->output(out).begin() + size);
    std::vector<float> batch = random_input(3 * image, 5);
    for (int slot = 0; slot < 3; ++slot) {
      std::vector<float> mixed = batch;
      std::copy(input.begin(), input.end(), mixed.begin() + slot * image);
      executable->run(mixed.data(), 3);
      const float* got = executable->output(out).data() + slot * size;
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), got)) << way.name << ", slot " << slot;
    }
  }
}

TEST_P(EveryOp, TakesInterleavedChannels) {
  OwnedNetwork owned;
  test::fill_op_case(owned, GetParam());
  const Network& network = owned.network;
  const size_t pixels = size_t(network.input.height) * network.input.width;
  const std::vector<float> planes = random_input(2 * 3 * pixels, 6);
  std::vector<float> interleaved(planes.size());
  for (size_t i = 0; i < planes.size(); ++i) {
    const size_t image = i / (3 * pixels), channel = i / pixels % 3, pixel = i % pixels;
    interleaved[(image * pixels + pixel) * 3 + channel] = planes[i];
  }
  cpu::ExecutorOptions options;
  options.compile = {.precision = Precision::kFp32, .max_batch = 2, .threads = 2};
  const auto expected = cpu::make_executor(network, options);
  options.compile.layout = PixelLayout::kNhwc;
  const auto executable = cpu::make_executor(network, options);
  expected->run(planes.data(), 2);
  executable->run(interleaved.data(), 2);
  const auto want = expected->output(network.outputs[0].tensor);
  const auto got = executable->output(network.outputs[0].tensor);
  EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin()));
}

std::string case_name(const testing::TestParamInfo<OpCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, EveryOp, testing::ValuesIn(test::op_cases()), case_name);

}  // namespace
}  // namespace face
