// SPDX-License-Identifier: MIT
// Winograd convolutions against float64, at every vector width this machine can execute.
#include "engine/error.h"
#include "tests/kernels/conv_check.h"

namespace face::test {
namespace {

using cpu::ConvActivation;
using cpu::ConvAlgorithm;
using cpu::ConvPrecision;

constexpr ConvAlgorithm kAlgorithms[] = {ConvAlgorithm::kWinograd2x2, ConvAlgorithm::kWinograd2x4,
                                         ConvAlgorithm::kWinograd4x4, ConvAlgorithm::kWinograd6x6};

constexpr ConvPrecision kPrecisions[] = {ConvPrecision::kFp32, ConvPrecision::kBf16};

/// Standard deviation of the rounding error relative to the output, for random data: a 1-D
/// transform amplifies by k = sqrt(mean over outputs of sum over points (A^2 |G|^2 |B|^2) / 3),
/// which is 1.3 for F(2), 2.2 for F(4) and 4.5 for F(6).
double amplification(ConvAlgorithm algorithm) {
  const double two = 1.3, four = 2.2, six = 4.5;
  return algorithm == ConvAlgorithm::kWinograd2x2   ? two * two
         : algorithm == ConvAlgorithm::kWinograd2x4 ? two * four
         : algorithm == ConvAlgorithm::kWinograd4x4 ? four * four
                                                    : six * six;
}

/// fp32: sums of `depth` terms add sqrt(depth) roundings of 2^-24, the transforms about 6.
/// Twice that is allowed.
/// bf16: see conv_check.h.
double tolerance(ConvAlgorithm algorithm, ConvPrecision precision, int depth) {
  const double fp32 = 2 * std::sqrt(depth + 6.0) * std::pow(2.0, -24);
  if (precision == ConvPrecision::kFp32) return amplification(algorithm) * fp32;
  return amplification(algorithm) * (bf16_tolerance() + fp32);
}

void check_all(const ConvCase& c, const cpu::Parallel& parallel, bool with_bias = true) {
  const ConvData data = make_conv_data(c, with_bias);
  for (const auto precision : kPrecisions) {
    for (const auto isa : runnable_isas(precision)) {
      for (const auto algorithm : kAlgorithms) {
        if (!cpu::can_compute(algorithm, c.desc, precision)) continue;
        const auto conv = cpu::make_conv(algorithm, isa, c.desc, data.layer_weights(), precision);
        check_conv(*conv, c, data, parallel, tolerance(algorithm, precision, c.desc.in_channels));
      }
    }
  }
}

TEST(Winograd, ShapesThatBreakThings) {
  const ConvCase cases[] = {
      conv_case("one_pixel", 8, 8, 1, 1),
      conv_case("one_channel", 1, 1, 4, 4),
      conv_case("row", 3, 5, 1, 9),
      conv_case("column", 17, 9, 9, 1),
      conv_case("5x7", 5, 7, 5, 7),
      conv_case("28_channels", 28, 28, 12, 10),
      conv_case("28_to_56", 28, 56, 9, 9),
      conv_case("88_channels", 88, 88, 7, 6),
      conv_case("67_to_45", 67, 45, 6, 11),
      conv_case("14x14", 64, 64, 14, 14),
      conv_case("7x7_batch_3", 40, 72, 7, 7, 3),
      conv_case("many_tiles", 4, 12, 67, 45),
      conv_case("whole_tiles", 24, 24, 12, 24),
  };
  for (const ConvCase& c : cases) check_all(c, cpu::serial_parallel());
}

TEST(Winograd, EveryEpilogue) {
  for (const auto activation : {ConvActivation::kNone, ConvActivation::kRelu,
                                ConvActivation::kPrelu, ConvActivation::kClip}) {
    for (int mask = 0; mask < 6; ++mask) {
      ConvCase c = conv_case("epilogue " + std::to_string(static_cast<int>(activation)) + " mask " +
                                 std::to_string(mask),
                             6, 13, 10, 6, 2);
      c.desc.activation = activation;
      c.desc.clip_low = -0.25f;
      c.desc.clip_high = 0.75f;
      c.desc.border_bias = mask % 2 == 1;
      c.desc.has_addend = mask / 2 != 0;
      c.desc.addend_upsampled = mask / 2 == 2;
      check_all(c, cpu::serial_parallel());
    }
  }
}

TEST(Winograd, MaxPool) {
  const struct {
    int height, width, batch;
  } sizes[] = {{2, 2, 1}, {2, 6, 1}, {4, 4, 2}, {6, 10, 3}, {14, 8, 1}, {66, 46, 1}};
  for (const auto& size : sizes) {
    for (const auto activation : {ConvActivation::kNone, ConvActivation::kPrelu}) {
      ConvCase c = conv_case("pool", 5, 29, size.height, size.width, size.batch);
      c.desc.max_pool = true;
      c.desc.activation = activation;
      c.desc.border_bias = size.batch == 2;
      check_all(c, cpu::openmp_parallel(size.batch));
    }
  }
}

TEST(Winograd, NoBias) {
  check_all(conv_case("no_bias", 8, 8, 6, 6), cpu::serial_parallel(), false);
}

TEST(Winograd, TeamsOfThreads) {
  for (const int threads : {2, 3, 8}) {
    check_all(conv_case("wide", 16, 20, 61, 53), cpu::openmp_parallel(threads));
    check_all(conv_case("deep", 130, 75, 7, 7, 2), cpu::openmp_parallel(threads));
  }
}

TEST(Winograd, SmallerBatchThanPlanned) {
  ConvCase c = conv_case("batch 2 of 5", 12, 12, 9, 9, 5);
  c.batch = 2;
  check_all(c, cpu::openmp_parallel(2));
}

TEST(Winograd, AddendMayBeTheOutput) {
  ConvCase c = conv_case("in place", 16, 16, 9, 10);
  c.desc.has_addend = true;
  const ConvData data = make_conv_data(c);
  for (const auto precision : kPrecisions)
    for (const auto algorithm : kAlgorithms)
      if (cpu::can_compute(algorithm, c.desc, precision))
        check_in_place(c, data, algorithm, precision,
                       tolerance(algorithm, precision, c.desc.in_channels));
}

TEST(Winograd, NanReachesTheOutputThroughEveryActivation) {
  for (const auto activation : {ConvActivation::kNone, ConvActivation::kRelu,
                                ConvActivation::kPrelu, ConvActivation::kClip}) {
    ConvCase c =
        conv_case("activation " + std::to_string(static_cast<int>(activation)), 8, 8, 4, 4);
    c.desc.activation = activation;
    c.desc.clip_high = 6.f;
    ConvData data = make_conv_data(c);
    data.input[0] = std::nanf("");
    for (const bool max_pool : {false, true}) {
      c.desc.max_pool = max_pool;
      if (max_pool) data.expected.resize(data.expected.size() / 4);
      for (const auto precision : kPrecisions)
        check_nan(c, data, ConvAlgorithm::kWinograd4x4, precision);
      check_nan(c, data, ConvAlgorithm::kWinograd6x6, ConvPrecision::kFp32);
    }
  }
}

/// Its error would be ten times a direct convolution's.
TEST(Winograd, LargestTilesAreOfFloat32) {
  const ConvCase c = conv_case("bf16", 8, 8, 12, 12);
  EXPECT_TRUE(cpu::can_compute(ConvAlgorithm::kWinograd6x6, c.desc, ConvPrecision::kFp32));
  EXPECT_FALSE(cpu::can_compute(ConvAlgorithm::kWinograd6x6, c.desc, ConvPrecision::kBf16));
  const ConvData data = make_conv_data(c);
  EXPECT_THROW(
      (void)cpu::make_conv(ConvAlgorithm::kWinograd6x6, cpu::best_conv_isa(ConvPrecision::kBf16),
                           c.desc, data.layer_weights(), ConvPrecision::kBf16),
      Error);
}

TEST(Winograd, RefusesOtherConvolutions) {
  ConvCase c = conv_case("stride", 8, 8, 8, 8);
  c.desc.stride = 2;
  EXPECT_EQ(cpu::conv_algorithms(c.desc), std::vector{ConvAlgorithm::kDirect});
  EXPECT_EQ(cpu::conv_algorithms(c.desc, ConvPrecision::kBf16),
            (std::vector{ConvAlgorithm::kTiles, ConvAlgorithm::kDirect}));
  const ConvData data = make_conv_data(conv_case("any", 8, 8, 8, 8));
  try {
    (void)cpu::make_conv(ConvAlgorithm::kWinograd4x4, cpu::best_conv_isa(), c.desc,
                         data.layer_weights());
    FAIL() << "stride 2 was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(e.what()).find("winograd4x4"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace face::test
