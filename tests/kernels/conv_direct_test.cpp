// SPDX-License-Identifier: MIT
// Direct and depthwise convolutions against float64, at every vector width this machine can
// execute.
#include "engine/error.h"
#include "tests/kernels/conv_check.h"

namespace face::test {
namespace {

using cpu::ConvActivation;
using cpu::ConvAlgorithm;
using cpu::ConvDesc;
using cpu::ConvPrecision;

/// A sum of `depth` products rounds about sqrt(depth) times by 2^-24 of its own size; epilogue and
/// products add a few roundings. Twice that is allowed. bf16: see conv_check.h.
double tolerance(const ConvDesc& d, ConvPrecision precision) {
  const double depth = static_cast<double>(d.in_channels) / d.groups * d.kernel_h * d.kernel_w;
  const double fp32 = 2 * std::sqrt(depth + 6.0) * std::pow(2.0, -24);
  if (precision == ConvPrecision::kBf16) return fp32 + bf16_tolerance();
  return precision == ConvPrecision::kBf16x3 ? fp32 + split_tolerance() : fp32;
}

ConvCase layer(const std::string& name, int in, int out, int height, int width, Geometry g,
               int batch = 1, bool depthwise = false) {
  ConvCase c = conv_case(name, in, out, height, width, batch, g);
  if (depthwise) c.desc.groups = in;
  return c;
}

constexpr ConvPrecision kPrecisions[] = {ConvPrecision::kFp32, ConvPrecision::kBf16,
                                         ConvPrecision::kBf16x3};

std::vector<ConvAlgorithm> algorithms_of(const ConvCase& c) {
  if (c.desc.groups != 1) return {ConvAlgorithm::kDepthwise};
  return {ConvAlgorithm::kDirect, ConvAlgorithm::kTiles};
}

/// Calls f(algorithm, precision) for all that take the case.
template <typename F>
void for_ways(const ConvCase& c, const F& f) {
  for (const auto algorithm : algorithms_of(c))
    for (const auto precision : kPrecisions)
      if (cpu::can_compute(algorithm, c.desc, precision)) f(algorithm, precision);
}

void check_all(const ConvCase& c, const cpu::Parallel& parallel) {
  const ConvData data = make_conv_data(c);
  for_ways(c, [&](ConvAlgorithm algorithm, ConvPrecision precision) {
    for (const auto isa : runnable_isas(precision, algorithm)) {
      const auto conv = cpu::make_conv(algorithm, isa, c.desc, data.layer_weights(), precision);
      check_conv(*conv, c, data, parallel, tolerance(c.desc, precision));
    }
  });
}

TEST(Direct, ShapesThatBreakThings) {
  const ConvCase cases[] = {
      layer("one_pixel", 8, 8, 1, 1, {}),
      layer("one_channel", 1, 1, 3, 3, {}),
      layer("row", 3, 5, 1, 9, {}),
      layer("column", 5, 9, 9, 1, {3, 2, 1}),
      layer("stem", 3, 28, 11, 14, {3, 2, 1}),
      layer("stem_stride_1", 3, 64, 10, 7, {}),
      layer("5x7_28_channels", 28, 28, 5, 7, {}),
      layer("stride_2_odd", 12, 45, 9, 13, {3, 2, 1}),
      layer("stride_2_even", 56, 88, 8, 10, {3, 2, 1}),
      layer("long_sum", 96, 30, 7, 7, {}),
      layer("pointwise", 67, 51, 5, 7, {1, 1, 0}),
      layer("pointwise_stride_2", 33, 24, 6, 5, {1, 2, 0}),
      layer("2x2_stride_2", 24, 48, 6, 8, {2, 2, 0}),
      layer("5x5", 9, 11, 3, 4, {5, 1, 2}),
      layer("fully_connected", 3000, 70, 1, 1, {1, 1, 0}, 3),
      layer("batch_remainder", 16, 20, 7, 7, {3, 2, 1}, 5),
      layer("many_pixels", 4, 8, 33, 41, {}),
      layer("no_padding", 10, 12, 9, 11, {3, 1, 0}, 2),
      layer("no_padding_stride_2", 6, 20, 12, 7, {3, 2, 0}, 3),
  };
  for (const ConvCase& c : cases) check_all(c, cpu::serial_parallel());
}

TEST(Direct, PaddingBelowAndRightAlone) {
  for (const int stride : {1, 2}) {
    ConvCase c = layer("behind", 7, 9, 6, 8, {3, stride, 0}, 2);
    c.desc.out_height = c.desc.in_height / stride;
    c.desc.out_width = c.desc.in_width / stride;
    c.desc.border_bias = true;
    check_all(c, cpu::serial_parallel());
  }
}

TEST(Direct, OutputThatEndsBeforeTheInput) {
  ConvCase c = layer("cut", 6, 10, 10, 9, {5, 1, 2}, 2);
  c.desc.out_height -= 2;
  c.desc.out_width -= 2;
  check_all(c, cpu::serial_parallel());
}

TEST(Depthwise, ShapesThatBreakThings) {
  const ConvCase cases[] = {
      layer("one_pixel", 8, 8, 1, 1, {}, 1, true),
      layer("two_pixels_wide", 16, 16, 5, 2, {}, 1, true),
      layer("one_row", 5, 5, 1, 9, {}, 1, true),
      layer("one_column", 72, 72, 9, 1, {3, 2, 1}, 1, true),
      layer("28_channels", 28, 28, 6, 11, {}, 2, true),
      layer("stride_2_odd", 40, 40, 9, 13, {3, 2, 1}, 1, true),
      layer("stride_2_even", 19, 19, 8, 10, {3, 2, 1}, 3, true),
      layer("whole_map", 51, 51, 7, 7, {7, 1, 0}, 2, true),
      layer("5x5", 12, 12, 8, 6, {5, 2, 2}, 1, true),
  };
  for (const ConvCase& c : cases) check_all(c, cpu::serial_parallel());
}

/// Few channels go along a row, many do not: groups of columns of every size, at borders and
/// inside.
TEST(Depthwise, EveryWidth) {
  for (const int channels : {12, 200}) {
    for (const int stride : {1, 2}) {
      for (int width = 1; width <= 30; ++width) {
        std::string name = "width ";
        name.append(std::to_string(width)).append(" channels ").append(std::to_string(channels));
        ConvCase c = layer(name, channels, channels, 5, width * stride, {3, stride, 1}, 1, true);
        c.desc.activation = ConvActivation::kPrelu;
        check_all(c, cpu::serial_parallel());
      }
    }
  }
}

/// Pairs of rows that bands of a team cut, and images of a batch that lie one under the other.
TEST(Tiles, MaxPool) {
  const struct {
    int in, out, height, width, batch;
    Geometry geometry;
  } cases[] = {{6, 9, 2, 2, 1, {}},           {28, 56, 10, 12, 1, {}},
               {8, 40, 6, 4, 3, {}},          {5, 16, 33, 14, 2, {2, 1, 0}},
               {12, 20, 24, 8, 2, {3, 2, 1}}, {40, 33, 66, 46, 1, {}}};
  for (const auto& k : cases) {
    ConvCase c = layer("pool", k.in, k.out, k.height, k.width, k.geometry, k.batch);
    c.desc.out_width -= c.desc.out_width % 2;
    c.desc.max_pool = true;
    c.desc.activation = ConvActivation::kPrelu;
    const ConvData data = make_conv_data(c);
    for (const int threads : {1, 3}) {
      for_ways(c, [&](ConvAlgorithm algorithm, ConvPrecision precision) {
        for (const auto isa : runnable_isas(precision, algorithm)) {
          const auto conv = cpu::make_conv(algorithm, isa, c.desc, data.layer_weights(), precision);
          check_conv(*conv, c, data, cpu::openmp_parallel(threads), tolerance(c.desc, precision));
        }
      });
    }
  }
}

/// A depthwise case and a 1x1 one on its output, held to float64.
void check_separable(const ConvCase& first, const ConvCase& second, const cpu::Parallel& parallel) {
  const ConvData stage = make_conv_data(first);
  ConvData data = make_conv_data(second);
  data.input.assign(stage.expected.begin(), stage.expected.end());
  data.expected = reference_output(second.desc, data, second.batch);
  data.input = stage.input;
  for_ways(second, [&](ConvAlgorithm algorithm, ConvPrecision precision) {
    for (const auto isa : runnable_isas(precision, algorithm)) {
      const auto conv = cpu::make_separable(isa, first.desc, stage.layer_weights(), second.desc,
                                            data.layer_weights(), precision, algorithm);
      check_conv(*conv, second, data, parallel,
                 tolerance(first.desc, ConvPrecision::kFp32) + tolerance(second.desc, precision));
    }
  });
}

TEST(Separable, ShapesThatBreakThings) {
  const struct {
    int in, out, height, width, batch;
    Geometry geometry;
  } cases[] = {{8, 8, 1, 1, 1, {}},           {3, 65, 5, 2, 2, {}},
               {29, 16, 1, 9, 1, {}},         {64, 64, 14, 14, 1, {}},
               {33, 48, 9, 13, 3, {3, 2, 1}}, {16, 17, 70, 3, 1, {3, 2, 1}},
               {128, 130, 7, 7, 2, {}},       {24, 20, 3, 100, 1, {}},
               {20, 12, 8, 6, 2, {5, 2, 2}},  {40, 70, 7, 7, 2, {7, 1, 0}}};
  for (const auto& c : cases) {
    ConvCase first = layer("stage", c.in, c.in, c.height, c.width, c.geometry, c.batch, true);
    first.desc.activation = ConvActivation::kPrelu;
    ConvCase second = layer("separable", c.in, c.out, first.desc.out_height, first.desc.out_width,
                            {1, 1, 0}, c.batch);
    second.desc.has_addend = c.batch == 2;
    check_separable(first, second, cpu::openmp_parallel(c.batch));
  }
}

TEST(Separable, RefusesWhatDoesNotFit) {
  const ConvCase first = layer("stage", 8, 8, 6, 6, {}, 1, true);
  const ConvData data = make_conv_data(first);
  for (const ConvCase& second :
       {layer("3x3", 8, 8, 6, 6, {}), layer("stride", 8, 8, 6, 6, {1, 2, 0}),
        layer("channels", 9, 8, 6, 6, {1, 1, 0}), layer("size", 8, 8, 6, 7, {1, 1, 0})}) {
    EXPECT_FALSE(cpu::is_separable(first.desc, second.desc)) << second.name;
    EXPECT_THROW((void)cpu::make_separable(cpu::best_conv_isa(), first.desc, data.layer_weights(),
                                           second.desc, data.layer_weights()),
                 Error)
        << second.name;
  }
}

TEST(DirectAndDepthwise, EveryEpilogue) {
  for (const bool depthwise : {false, true}) {
    for (const auto activation : {ConvActivation::kNone, ConvActivation::kRelu,
                                  ConvActivation::kPrelu, ConvActivation::kClip}) {
      for (int mask = 0; mask < 6; ++mask) {
        ConvCase c = layer("epilogue ", 13, 13, 10, 6, {}, 2, depthwise);
        c.name.append(std::to_string(static_cast<int>(activation))).append(std::to_string(mask));
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
}

TEST(DirectAndDepthwise, BorderBiasWithStride2) {
  for (const bool depthwise : {false, true}) {
    for (const int size : {2, 3, 8}) {
      ConvCase c = layer("border", 9, 9, size, size + 1, {3, 2, 1}, 1, depthwise);
      c.desc.border_bias = true;
      check_all(c, cpu::serial_parallel());
    }
  }
}

TEST(DirectAndDepthwise, AddendMayBeTheOutput) {
  for (const bool depthwise : {false, true}) {
    ConvCase c = layer("in place", 67, 67, 9, 10, {}, 2, depthwise);
    c.desc.has_addend = true;
    const ConvData data = make_conv_data(c);
    for_ways(c, [&](ConvAlgorithm algorithm, ConvPrecision precision) {
      check_in_place(c, data, algorithm, precision, tolerance(c.desc, precision));
    });
  }
}

TEST(DirectAndDepthwise, NanReachesTheOutputThroughEveryActivation) {
  for (const bool depthwise : {false, true}) {
    for (const auto activation : {ConvActivation::kNone, ConvActivation::kRelu,
                                  ConvActivation::kPrelu, ConvActivation::kClip}) {
      ConvCase c = layer("activation ", 16, 16, 4, 4, {}, 1, depthwise);
      c.name.append(std::to_string(static_cast<int>(activation)));
      c.desc.activation = activation;
      c.desc.clip_high = 6.f;
      ConvData data = make_conv_data(c);
      data.input[0] = std::nanf("");
      for_ways(c, [&](ConvAlgorithm algorithm, ConvPrecision precision) {
        check_nan(c, data, algorithm, precision);
      });
    }
  }
}

TEST(DirectAndDepthwise, TeamsOfThreads) {
  for (const int threads : {2, 3, 8}) {
    check_all(layer("wide", 6, 20, 61, 53, {3, 2, 1}), cpu::openmp_parallel(threads));
    check_all(layer("deep", 130, 175, 7, 7, {1, 1, 0}, 2), cpu::openmp_parallel(threads));
    check_all(layer("depthwise", 64, 64, 14, 14, {}, 2, true), cpu::openmp_parallel(threads));
  }
}

}  // namespace
}  // namespace face::test
