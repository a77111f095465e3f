// SPDX-License-Identifier: MIT
// Maps that lie in memory as bfloat16: the very bits of a layer on float32 maps of rounded numbers,
// at every vector width this machine can execute.
#include <bit>
#include <cstring>

#include "engine/error.h"
#include "kernels/cpu/bf16.h"
#include "tests/kernels/conv_check.h"

namespace face::test {
namespace {

using cpu::ConvActivation;
using cpu::ConvAlgorithm;
using cpu::ConvDesc;
using cpu::ConvPrecision;

constexpr ConvActivation kActivations[] = {ConvActivation::kNone, ConvActivation::kRelu,
                                           ConvActivation::kPrelu, ConvActivation::kClip};

ConvCase layer(const std::string& name, int in, int out, int height, int width, int batch = 1,
               Geometry g = {}) {
  ConvCase c = conv_case(name, in, out, height, width, batch, g);
  c.desc.clip_low = -0.25f;
  c.desc.clip_high = 0.75f;
  return c;
}

/// A map as bfloat16, two numbers to a float.
std::vector<float> packed(const std::vector<float>& map) {
  std::vector<uint16_t> halves;
  for (const float x : map) halves.push_back(cpu::to_bf16(x));
  std::vector<float> floats(map.size() / 2);
  std::memcpy(floats.data(), halves.data(), floats.size() * sizeof(float));
  return floats;
}

std::vector<float> output_of(const cpu::Conv& conv, const ConvCase& c, const ConvData& data,
                             const cpu::Parallel& parallel, Guard guard) {
  const std::vector<float> from = c.desc.bf16_input ? packed(data.input) : data.input;
  const std::vector<float> added = c.desc.bf16_addend ? packed(data.addend) : data.addend;
  GuardedFloats input(from.size(), guard), addend(added.size(), guard);
  GuardedFloats output(data.expected.size() / (c.desc.bf16_output ? 2 : 1), guard);
  GuardedFloats scratch(conv.scratch_bytes(parallel.threads) / sizeof(float), guard);
  std::memcpy(input.data(), from.data(), from.size() * sizeof(float));
  std::memcpy(addend.data(), added.data(), added.size() * sizeof(float));
  conv.run(input.data(), c.desc.has_addend ? addend.data() : nullptr, output.data(), c.batch,
           scratch.data(), parallel);
  return {output.begin(), output.end()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_maps(const ConvCase& c, const ConvData& data, ConvAlgorithm algorithm,
                ConvPrecision precision, const cpu::Parallel& parallel) {
  const auto make = [&](cpu::ConvIsa isa, const ConvDesc& desc) {
    return cpu::make_conv(algorithm, isa, desc, data.layer_weights(), precision);
  };
  for (const auto isa : runnable_isas(precision, algorithm)) {
    const auto plain =
        output_of(*make(isa, c.desc), c, data, parallel, Guard::kAfter);  // checked elsewhere
    for (int maps = 1; maps < 8; ++maps) {
      ConvCase mapped = c;
      mapped.desc.bf16_input = maps % 2 != 0;
      mapped.desc.bf16_output = maps / 2 % 2 != 0;
      mapped.desc.bf16_addend = maps / 4 != 0;
      if (!cpu::can_compute(algorithm, mapped.desc, precision)) continue;
      const auto conv = make(isa, mapped.desc);
      for (const Guard guard : {Guard::kAfter, Guard::kBefore})
        EXPECT_TRUE(same_bits(output_of(*conv, mapped, data, parallel, guard),
                              mapped.desc.bf16_output ? packed(plain) : plain))
            << c.name << " " << conv->name();
    }
  }
}

/// Input and addend are rounded numbers.
ConvData make_rounded_data(const ConvCase& c) {
  ConvData data = make_conv_data(c);
  for (std::vector<float>* map : {&data.input, &data.addend})
    for (float& x : *map) x = cpu::from_bf16(cpu::to_bf16(x));
  return data;
}

/// Every algorithm that takes the case.
void check_all(const ConvCase& c, const cpu::Parallel& parallel) {
  const ConvData data = make_rounded_data(c);
  for (const auto precision : {ConvPrecision::kBf16, ConvPrecision::kBf16x3})
    for (const auto algorithm : cpu::conv_algorithms(c.desc, precision))
      check_maps(c, data, algorithm, precision, parallel);
}

TEST(Bf16Maps, ShapesThatBreakThings) {
  const ConvCase cases[] = {
      layer("one_pixel", 8, 8, 1, 1),
      layer("two_channels", 2, 2, 3, 3),
      layer("row", 6, 14, 1, 9),
      layer("column", 18, 10, 9, 1),
      layer("28_channels", 28, 28, 12, 10),
      layer("half_vector", 24, 24, 12, 24),
      layer("28_to_56", 28, 56, 9, 9),
      layer("88_channels", 88, 88, 7, 6),
      layer("odd_input", 67, 46, 6, 11),
      layer("odd_output", 46, 67, 6, 11),
      layer("14x14", 64, 64, 14, 14),
      layer("7x7_batch_3", 40, 72, 7, 7, 3),
      layer("many_tiles", 4, 12, 67, 45),
  };
  for (const ConvCase& c : cases) check_all(c, cpu::serial_parallel());
}

TEST(Bf16Maps, OtherWindows) {
  const ConvCase cases[] = {
      layer("stride_2_odd", 12, 44, 9, 13, 1, {3, 2, 1}),
      layer("stride_2_even", 56, 88, 8, 10, 1, {3, 2, 1}),
      layer("stride_2_column", 6, 10, 9, 1, 1, {3, 2, 1}),
      layer("pointwise", 66, 52, 5, 7, 1, {1, 1, 0}),
      layer("pointwise_stride_2", 34, 24, 6, 5, 1, {1, 2, 0}),
      layer("2x2_stride_2", 24, 48, 6, 8, 1, {2, 2, 0}),
      layer("5x5", 10, 12, 3, 4, 2, {5, 1, 2}),
      layer("fully_connected", 3000, 70, 1, 1, 3, {1, 1, 0}),
      layer("slices", 3000, 64, 1, 1, 3, {1, 1, 0}),
  };
  for (const ConvCase& c : cases) check_all(c, cpu::serial_parallel());
}

TEST(Bf16Maps, EveryEpilogue) {
  for (const auto activation : kActivations) {
    for (int mask = 0; mask < 12; ++mask) {
      ConvCase c = layer("epilogue ", 6, mask < 6 ? 14 : 24, 10, 6, 2);
      c.name.append(std::to_string(static_cast<int>(activation))).append(std::to_string(mask));
      c.desc.activation = activation;
      c.desc.border_bias = mask % 2 == 1;
      c.desc.has_addend = mask % 6 / 2 != 0;
      c.desc.addend_upsampled = mask % 6 / 2 == 2;
      check_all(c, cpu::serial_parallel());
    }
  }
}

TEST(Bf16Maps, AddendMayBeTheOutput) {
  ConvCase c = layer("in place", 20, 66, 9, 10, 2);
  c.desc.has_addend = true;
  const ConvData data = make_rounded_data(c);
  c.desc.bf16_addend = c.desc.bf16_output = true;
  for (const auto precision : {ConvPrecision::kBf16, ConvPrecision::kBf16x3}) {
    for (const auto isa : runnable_isas(precision, ConvAlgorithm::kTiles)) {
      const auto conv =
          cpu::make_conv(ConvAlgorithm::kTiles, isa, c.desc, data.layer_weights(), precision);
      const auto apart = output_of(*conv, c, data, cpu::serial_parallel(), Guard::kAfter);
      std::vector<float> output = packed(data.addend);
      GuardedFloats scratch(conv->scratch_bytes(1) / sizeof(float), Guard::kAfter);
      conv->run(data.input.data(), output.data(), output.data(), c.batch, scratch.data(),
                cpu::serial_parallel());
      EXPECT_TRUE(same_bits(output, apart)) << conv->name();
    }
  }
}

TEST(Bf16Maps, MaxPool) {
  const struct {
    int height, width, batch;
  } sizes[] = {{2, 2, 1}, {2, 6, 1}, {4, 4, 2}, {6, 10, 3}, {14, 8, 1}, {66, 46, 1}};
  for (const auto& size : sizes) {
    for (const auto activation : kActivations) {
      ConvCase c = layer("pool", 6, 30, size.height, size.width, size.batch);
      c.desc.max_pool = true;
      c.desc.activation = activation;
      c.desc.border_bias = size.batch == 2;
      check_all(c, cpu::openmp_parallel(size.batch));
    }
  }
}

TEST(Bf16Maps, TeamsOfThreads) {
  for (const int threads : {2, 3, 8}) {
    check_all(layer("wide", 16, 20, 61, 53), cpu::openmp_parallel(threads));
    check_all(layer("deep", 130, 74, 7, 7, 2), cpu::openmp_parallel(threads));
  }
}

/// Of the first of two numbers.
bool is_nan(float pair) {
  return std::isnan(cpu::from_bf16(static_cast<uint16_t>(std::bit_cast<uint32_t>(pair))));
}

TEST(Bf16Maps, NanReachesTheOutputThroughEveryActivation) {
  constexpr uint32_t kNan = 0x7fffffff;  // which becomes a zero if it is rounded as a number
  for (const auto activation : kActivations) {
    ConvCase c = layer("nan", 16, 16, 4, 4);
    c.desc.activation = activation;
    c.desc.bf16_input = c.desc.bf16_output = true;
    for (const int mask : {0, 1, 2, 3}) {
      c.desc.max_pool = mask % 2 != 0;
      ConvData data = make_conv_data(c);
      (mask / 2 != 0 ? data.bias : data.input)[0] = std::bit_cast<float>(kNan);
      for (const auto algorithm : cpu::conv_algorithms(c.desc, ConvPrecision::kBf16)) {
        for (const auto isa : runnable_isas(ConvPrecision::kBf16, algorithm)) {
          const auto conv =
              cpu::make_conv(algorithm, isa, c.desc, data.layer_weights(), ConvPrecision::kBf16);
          const auto output = output_of(*conv, c, data, cpu::serial_parallel(), Guard::kAfter);
          EXPECT_TRUE(is_nan(output[0])) << conv->name() << " " << mask;
        }
      }
    }
  }
}

TEST(Bf16Maps, WantBf16AndEvenChannels) {
  const auto takes = [](ConvAlgorithm algorithm, ConvDesc d, bool in, bool out,
                        ConvPrecision precision = ConvPrecision::kBf16) {
    d.bf16_input = in;
    d.bf16_output = out;
    return cpu::can_compute(algorithm, d, precision);
  };
  for (const auto algorithm :
       {ConvAlgorithm::kDirect, ConvAlgorithm::kTiles, ConvAlgorithm::kWinograd2x4}) {
    const ConvDesc even = layer("even", 8, 10, 6, 6).desc;
    EXPECT_TRUE(takes(algorithm, even, true, true));
    EXPECT_FALSE(takes(algorithm, even, true, false, ConvPrecision::kFp32));
    EXPECT_FALSE(takes(algorithm, even, false, true, ConvPrecision::kFp32));
    const ConvDesc odd_in = layer("odd", 7, 10, 6, 6).desc, odd_out = layer("", 8, 9, 6, 6).desc;
    EXPECT_FALSE(takes(algorithm, odd_in, true, false));
    EXPECT_TRUE(takes(algorithm, odd_in, false, true));
    EXPECT_FALSE(takes(algorithm, odd_out, false, true));
    EXPECT_TRUE(takes(algorithm, odd_out, true, false));
  }
  EXPECT_FALSE(takes(ConvAlgorithm::kWinograd6x6, layer("6x6", 8, 8, 6, 6).desc, true, true));
  ConvDesc depthwise = layer("depthwise", 8, 8, 6, 6).desc;
  depthwise.groups = 8;
  ConvDesc pointwise = layer("pointwise", 8, 8, 6, 6, 1, {1, 1, 0}).desc;
  EXPECT_TRUE(cpu::is_separable(depthwise, pointwise));
  pointwise.bf16_output = true;
  EXPECT_FALSE(cpu::is_separable(depthwise, pointwise));
}

TEST(Bf16Maps, AreAddedByTilesAlone) {
  ConvDesc d = layer("addend", 8, 10, 6, 6).desc;
  d.bf16_addend = true;
  EXPECT_FALSE(cpu::can_compute(ConvAlgorithm::kTiles, d, ConvPrecision::kBf16));
  d.has_addend = true;
  EXPECT_TRUE(cpu::can_compute(ConvAlgorithm::kTiles, d, ConvPrecision::kBf16));
  EXPECT_FALSE(cpu::can_compute(ConvAlgorithm::kTiles, d));
  for (const auto other : {ConvAlgorithm::kDirect, ConvAlgorithm::kWinograd2x2})
    EXPECT_FALSE(cpu::can_compute(other, d, ConvPrecision::kBf16)) << cpu::to_string(other);
  d.out_channels = 9;
  EXPECT_FALSE(cpu::can_compute(ConvAlgorithm::kTiles, d, ConvPrecision::kBf16));
}

/// And added, but not read.
TEST(Bf16Maps, OfSumsAreWritten) {
  ConvDesc d = layer("sums", 8, 10, 6, 6).desc;
  d.has_addend = d.bf16_addend = d.bf16_output = true;
  EXPECT_TRUE(cpu::can_compute(ConvAlgorithm::kTiles, d, ConvPrecision::kBf16x3));
  d.bf16_input = true;
  EXPECT_FALSE(cpu::can_compute(ConvAlgorithm::kTiles, d, ConvPrecision::kBf16x3));
}

TEST(Bf16Maps, AreNamed) {
  ConvCase c = layer("named", 8, 8, 6, 6);
  const ConvData data = make_conv_data(c);
  const auto name = [&](ConvAlgorithm algorithm, bool in, bool out) {
    c.desc.bf16_input = in;
    c.desc.bf16_output = out;
    return cpu::make_conv(algorithm, cpu::ConvIsa::kBaseline, c.desc, data.layer_weights(),
                          ConvPrecision::kBf16)
        ->name();
  };
  EXPECT_EQ(name(ConvAlgorithm::kDirect, false, false), "direct_bf16:baseline");
  EXPECT_EQ(name(ConvAlgorithm::kDirect, true, false), "direct_bf16:baseline+bf16_in");
  EXPECT_EQ(name(ConvAlgorithm::kDirect, false, true), "direct_bf16:baseline+bf16_out");
  EXPECT_EQ(name(ConvAlgorithm::kWinograd4x4, true, true), "winograd4x4_bf16:baseline+bf16_in_out");
  c.desc.has_addend = c.desc.bf16_addend = true;
  EXPECT_EQ(name(ConvAlgorithm::kTiles, true, true), "tiles_bf16:baseline+bf16_in_add_out");
}

}  // namespace
}  // namespace face::test
