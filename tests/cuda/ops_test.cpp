// SPDX-License-Identifier: MIT
// Every operation of a network, on the emulator and on GPUs, against a plain double loop, on shapes
// that break things: odd sizes, channels that fill no vector, borders, one pixel, batch remainders.
#include "kernels/cuda/ops.h"

#include <gmock/gmock.h>

#include <cmath>

#include "kernels/cuda/conv_tile.h"
#include "kernels/math/half.h"
#include "tests/cuda/conv_problem.h"
#include "tests/cuda/on_device.h"

namespace face::cuda {
namespace {

enum class Path { kMma, kSimt, kHalf2, kDepthwise };

class Ops : public OnDevice {
 protected:
  void* elements(const std::vector<float>& values, ElementType type) {
    if (type == ElementType::kFloat) return device(values);
    std::vector<uint16_t> halves(values.size());
    for (size_t i = 0; i < values.size(); ++i) halves[i] = half_from_float(values[i]);
    return device(halves);
  }

  void upload(Problem& problem, ElementType type) {
    OpParams& p = problem.p;
    p.in = elements(problem.input, type);
    p.bias = device(problem.bias);
    p.slopes = device(problem.slopes);
    p.addend = problem.addend.empty() ? nullptr : elements(problem.addend, type);
    const size_t size = size_t(p.batch) * p.out_h * p.out_w * padded(p.out_c);
    p.out = type == ElementType::kHalf ? static_cast<void*>(poisoned<uint16_t>(size))
                                       : poisoned<float>(size);
    if (p.splits > 1) p.partial = poisoned<float>(size * p.splits);
  }

  static float at(const OpParams& p, ElementType type, size_t i) {
    return type == ElementType::kHalf ? float_from_half(static_cast<const uint16_t*>(p.out)[i])
                                      : static_cast<const float*>(p.out)[i];
  }

  /// Holds all results against `want(n, y, x, channel)`; padding must be zero. fp16 rounds the
  /// result once (2^-11); sums of up to a few thousand products of order 1/sqrt(depth) stay
  /// within a few float32 roundings of the double loop.
  template <typename Want>
  static void expect_results(const OpParams& p, ElementType type, Want want) {
    const double relative = type == ElementType::kHalf ? 1. / 2048 : 4e-6;
    size_t i = 0;
    int shown = 0;
    for (int n = 0; n < p.batch; ++n)
      for (int y = 0; y < p.out_h; ++y)
        for (int x = 0; x < p.out_w; ++x)
          for (int c = 0; c < padded(p.out_c); ++c, ++i) {
            const double wanted = c < p.out_c ? want(n, y, x, c) : 0.;
            const double found = at(p, type, i);
            if (!(std::abs(found - wanted) <= relative * std::abs(wanted) + 4e-6) && ++shown < 5)
              ADD_FAILURE() << "n " << n << " y " << y << " x " << x << " channel " << c << ": "
                            << found << ", want " << wanted;
          }
  }

  void check_conv(const ConvCase& c, Path path, ElementType type) {
    SCOPED_TRACE(c.name);
    Problem problem(c, type);
    upload(problem, type);
    OpParams& p = problem.p;
    if (path == Path::kMma) {
      if (!generations().back().tensor_cores()) GTEST_SKIP() << "no tensor cores";
      const ConvMmaPlan plan = plan_conv_mma(p);
      std::vector<uint16_t> packed(plan.weight_count);
      pack_conv_mma(p, plan, problem.weights.data(), packed.data());
      p.weights = device(packed);
      ASSERT_EQ(conv_mma(p, plan, 64 << 10, nullptr), cudaSuccess);
    } else if (path == Path::kSimt) {
      run_simt(problem, type, Products::kFloat);
    } else if (path == Path::kHalf2) {
      run_simt(problem, type, Products::kHalf2);
    } else {
      const int taps = p.kernel_h * p.kernel_w;
      std::vector<float> packed(size_t(taps) * padded(p.out_c));
      for (int o = 0; o < p.out_c; ++o)
        for (int t = 0; t < taps; ++t)
          packed[t * padded(p.out_c) + o] = problem.weights[o * taps + t];
      p.weights = device(packed);
      ASSERT_EQ(conv_depthwise(p, type, nullptr), cudaSuccess);
    }
    if (p.splits > 1) {
      ASSERT_EQ(finish_split(p, type, nullptr), cudaSuccess);
    }
    ASSERT_EQ(fault(), "no error");
    if (path == Path::kHalf2) return expect_half2_results(problem);
    expect_results(p, type, [&](int n, int y, int x, int o) { return problem.want(n, y, x, o); });
  }

  void run_simt(Problem& problem, ElementType type, Products products) {
    OpParams& p = problem.p;
    std::vector<float> packed(conv_simt_weight_count(p, products));
    pack_conv_simt(p, products, problem.weights.data(), packed.data());
    p.weights = elements(packed, type);
    ASSERT_EQ(conv_simt(p, type, products, nullptr), cudaSuccess);
  }

  /// Each result within the bound of Products::kHalf2 and one fp16 rounding, and all together
  /// within what random signs give, 2.07e-4 * sqrt((8 + 1) / 2 + 1) = 4.9e-4; less, since bias and
  /// addend are exact.
  void expect_half2_results(const Problem& problem) {
    const OpParams& p = problem.p;
    const double by_products = std::pow(1 + 1. / 2048, kHalf2Chunk) - 1;
    double error = 0, norm = 0;
    int shown = 0;
    size_t i = 0;
    for (int n = 0; n < p.batch; ++n)
      for (int y = 0; y < p.out_h; ++y)
        for (int x = 0; x < p.out_w; ++x)
          for (int c = 0; c < padded(p.out_c); ++c, ++i) {
            const double found = at(p, ElementType::kHalf, i);
            double wanted = 0, bound = 0;
            if (c < p.out_c) {
              problem.for_products(n, y, x, c, [&](double product) {
                bound += by_products * std::abs(product) + 0x1p-25;
              });
              wanted = problem.want(n, y, x, c);
              bound += (std::abs(wanted) + bound) / 2048 + 4e-6;
            }
            if (!(std::abs(found - wanted) <= bound) && ++shown < 5)
              ADD_FAILURE() << "n " << n << " y " << y << " x " << x << " channel " << c << ": "
                            << found << ", want " << wanted << " to " << bound;
            error += (found - wanted) * (found - wanted);
            norm += wanted * wanted;
          }
    RecordProperty("relative_l2", std::to_string(std::sqrt(error / norm)));
    EXPECT_LE(std::sqrt(error / norm), 5e-4);
  }
};

const ConvCase kDense[] = {
    {"stem_stride_2", 2, 33, 35, 3, 28, 3, 2, 1, false, 0, Act::kRelu},
    {"stem_one_pixel", 1, 1, 1, 3, 16, 3, 1},
    {"28_channels", 1, 17, 19, 28, 28, 3, 1, 1, false, 0, Act::kRelu},
    {"56_channels_added", 1, 12, 10, 56, 56, 3, 1, 1, false, 1, Act::kRelu},
    {"56_to_88_stride_2", 1, 11, 13, 56, 88, 3, 2},
    {"88_channels_upsampled_addend", 1, 6, 10, 88, 56, 1, 1, 1, false, 2},
    {"80_to_30_head", 2, 5, 7, 80, 30, 3, 1},
    {"border_bias_prelu", 3, 7, 7, 64, 64, 3, 1, 1, true, 0, Act::kPrelu},
    {"border_bias_stride_2_added", 1, 14, 14, 24, 48, 3, 2, 1, true, 1},
    {"one_by_one_152_to_288", 1, 5, 5, 152, 288, 1, 1, 1, false, 0, Act::kClip},
    {"one_by_one_stride_2", 1, 9, 9, 40, 72, 1, 2},
    {"one_channel_each", 1, 3, 4, 1, 1, 3, 1, 1, false, 0, Act::kSigmoid},
    {"wide_image", 1, 2, 150, 16, 16, 3, 1},
    {"five_by_five", 1, 9, 8, 16, 24, 5, 1},
    {"split_in_three", 2, 4, 5, 72, 40, 3, 1, 1, false, 1, Act::kRelu, 3},
    {"more_splits_than_chunks", 1, 3, 3, 16, 16, 3, 1, 1, false, 0, Act::kNone, 4},
    {"fully_connected", 5, 1, 1, 392, 24, 1, 1, 1, false, 0, Act::kNone, 4},
};

class Dense : public Ops, public testing::WithParamInterface<ConvCase> {};
TEST_P(Dense, TensorCores) { check_conv(GetParam(), Path::kMma, ElementType::kHalf); }
TEST_P(Dense, TensorCoresInShuffledOrder) {
  set_order(Order::kRandom, 5);
  check_conv(GetParam(), Path::kMma, ElementType::kHalf);
}
TEST_P(Dense, SimtFloat) { check_conv(GetParam(), Path::kSimt, ElementType::kFloat); }
TEST_P(Dense, SimtHalf) {
  set_order(Order::kReverse);
  check_conv(GetParam(), Path::kSimt, ElementType::kHalf);
}
TEST_P(Dense, SimtHalf2) { check_conv(GetParam(), Path::kHalf2, ElementType::kHalf); }
TEST_P(Dense, SimtHalf2InShuffledOrder) {
  set_order(Order::kRandom, 6);
  check_conv(GetParam(), Path::kHalf2, ElementType::kHalf);
}
INSTANTIATE_TEST_SUITE_P(Table, Dense, testing::ValuesIn(kDense),
                         [](const auto& info) { return std::string(info.param.name); });

/// 64 channels: the other 48 take back, in chunks that fit, what the first chunk adds in two lanes.
TEST_F(Ops, AChunkOfHalvesThatOverflowsGivesNanWhateverFollows) {
  for (const Act activation : {Act::kNone, Act::kRelu, Act::kPrelu, Act::kClip, Act::kSigmoid})
    for (const float sign : {1.f, -1.f})
      for (const bool overflows : {false, true}) {
        Problem problem({"chunks", 1, 1, 1, 64, 8, 1, 1, 1, false, 0, activation},
                        ElementType::kHalf);
        const float value = overflows ? 9216.f : 7680.f;  // 8 in a lane: 73728, 61440
        for (int i = 0; i < 64; ++i) problem.input[i] = sign * (i < 16 ? value : -value / 3);
        for (float& w : problem.weights) w = 1.f;
        upload(problem, ElementType::kHalf);
        run_simt(problem, ElementType::kHalf, Products::kHalf2);
        ASSERT_EQ(fault(), "no error");
        for (int c = 0; c < 8; ++c) {
          const float found = at(problem.p, ElementType::kHalf, c);
          if (overflows) {
            EXPECT_TRUE(std::isnan(found)) << found;
          } else {
            EXPECT_NEAR(found, problem.want(0, 0, 0, c), 1. / 1024) << c;
          }
        }
      }
}

TEST_F(Ops, PairsOfHalvesAreRefusedWhereThereAreNone) {
  OpParams p = Problem({"groups", 1, 2, 2, 8, 8, 1, 1, 2}, ElementType::kHalf).p;
  EXPECT_EQ(conv_simt(p, ElementType::kHalf, Products::kHalf2, nullptr), cudaErrorInvalidValue);
  p.groups = 1;
  EXPECT_EQ(conv_simt(p, ElementType::kFloat, Products::kHalf2, nullptr), cudaErrorInvalidValue);
}

TEST_F(Ops, GroupsWithoutTensorCores) {
  for (const ConvCase& c :
       {ConvCase{"four_groups_of_7", 2, 5, 6, 28, 12, 3, 1, 4},
        ConvCase{"groups_wider_than_a_tile", 1, 3, 3, 16, 80, 1, 1, 2, false, 1, Act::kPrelu},
        ConvCase{"channel_multiplier", 1, 4, 4, 6, 12, 3, 2, 6}})
    for (const auto type : {ElementType::kFloat, ElementType::kHalf})
      check_conv(c, Path::kSimt, type);
}

TEST_F(Ops, Depthwise) {
  for (const ConvCase& c :
       {ConvCase{"16_odd", 2, 7, 9, 16, 16, 3, 1, 16, false, 0, Act::kRelu},
        ConvCase{"28_stride_2_border", 1, 8, 8, 28, 28, 3, 2, 28, true, 1, Act::kPrelu},
        ConvCase{"global_7x7", 3, 1, 1, 72, 72, 7, 1, 72},
        ConvCase{"one_channel", 1, 1, 1, 1, 1, 3, 1, 1}})
    for (const auto type : {ElementType::kFloat, ElementType::kHalf})
      check_conv(c, Path::kDepthwise, type);
}

TEST_F(Ops, MaxPoolAveragePoolAndPointwise) {
  const ConvCase shape{"pool", 2, 9, 7, 28, 28, 3, 2, 28};
  for (const auto type : {ElementType::kFloat, ElementType::kHalf})
    for (const bool count_pad : {false, true}) {
      Problem problem(shape, type);
      OpParams& p = problem.p;
      p.count_include_pad = count_pad;
      problem.bias.assign(problem.bias.size(), 0.f);
      upload(problem, type);
      const auto window = [&](int n, int y, int x, int c, double start, auto&& fold) {
        int count = 0;
        for (int i = 0; i < 9; ++i) {
          const int iy = y * 2 - 1 + i / 3, ix = x * 2 - 1 + i % 3;
          if (iy < 0 || ix < 0 || iy >= p.in_h || ix >= p.in_w) continue;
          start = fold(
              start, problem.input[((size_t(n) * p.in_h + iy) * p.in_w + ix) * padded(p.in_c) + c]);
          ++count;
        }
        return std::pair(start, count);
      };
      ASSERT_EQ(max_pool(p, type, nullptr), cudaSuccess);
      ASSERT_EQ(fault(), "no error");
      expect_results(p, type, [&](int n, int y, int x, int c) {
        return window(n, y, x, c, -1e30, [](double a, double b) { return std::max(a, b); }).first;
      });
      ASSERT_EQ(average_pool(p, type, nullptr), cudaSuccess);
      ASSERT_EQ(fault(), "no error");
      expect_results(p, type, [&](int n, int y, int x, int c) {
        const auto [sum, count] = window(n, y, x, c, 0., std::plus<>());
        return sum / (count_pad ? 9 : count);
      });
    }
}

TEST_F(Ops, AffineAddAndUpsample) {
  for (const auto type : {ElementType::kFloat, ElementType::kHalf})
    for (const bool upsample : {false, true}) {
      Problem problem({"pointwise", 2, 6, 5, 28, 28, 1, 1, 28, false, 1, Act::kPrelu}, type);
      OpParams& p = problem.p;
      if (upsample) {
        p.out_h = 12, p.out_w = 10;
        problem.addend = problem.activations(2 * 12 * 10, 28);
        p.upsample = true;
      }
      const std::vector<float> scale = problem.padded_rows(1, 28);
      upload(problem, type);
      p.weights = device(scale);
      ASSERT_EQ(pointwise(p, type, nullptr), cudaSuccess);
      ASSERT_EQ(fault(), "no error");
      const int s = upsample ? 2 : 1;
      expect_results(p, type, [&](int n, int y, int x, int c) {
        const size_t pixel = (size_t(n) * p.in_h + y / s) * p.in_w + x / s;
        return problem.end(double(problem.input[pixel * 32 + c]) * scale[c], n, y, x, c);
      });
    }
}

TEST_F(Ops, LayoutThereAndBack) {
  for (const auto type : {ElementType::kFloat, ElementType::kHalf}) {
    std::vector<float> nchw(2 * 11 * 15);
    for (size_t i = 0; i < nchw.size(); ++i) nchw[i] = static_cast<float>(i % 509) / 16;
    OpParams p;
    p.out = poisoned<float>(2 * 15 * 16);
    float* back = poisoned<float>(nchw.size());
    ASSERT_EQ(from_nchw(device(nchw), p.out, 2, 3, 5, 11, type, nullptr), cudaSuccess);
    ASSERT_EQ(to_float(p.out, back, 30, 11, type, nullptr), cudaSuccess);
    ASSERT_EQ(fault(), "no error");
    for (int n = 0; n < 2; ++n)
      for (int pixel = 0; pixel < 15; ++pixel)
        for (int c = 0; c < 16; ++c) {
          const float want = c < 11 ? nchw[(n * 11 + c) * 15 + pixel] : 0.f;
          EXPECT_EQ(at(p, type, (n * 15 + pixel) * 16 + c), want);
          if (c < 11) {
            EXPECT_EQ(back[(n * 15 + pixel) * 11 + c], want);
          }
        }
  }
}

TEST(ConvTile, SwizzleIsAPermutationWithoutBankConflicts) {
  const auto check = [](auto k) {
    constexpr int kTileK = decltype(k)::value, kUnits = kTileK / 8;
    for (int first = 0; first < 64; ++first)
      for (int unit = 0; unit < kUnits; ++unit) {
        uint32_t banks = 0;  // of 16 bytes: 8 in a line of 128
        for (int row = first; row < first + 8; ++row)
          banks |= 1u << (row * kUnits + swizzle<kTileK>(row, unit)) % 8;
        EXPECT_EQ(banks, 0xffu) << kTileK << " row " << first << " unit " << unit;
      }
  };
  check(std::integral_constant<int, 8>());
  check(std::integral_constant<int, 16>());
  check(std::integral_constant<int, 32>());
}

TEST(ConvTile, PackedChannelsAreAPermutation) {
  for (const int tile : {16, 32, 56, 64, 80, 88}) {
    std::vector<bool> seen(tile);
    for (int n = 0; n < tile; ++n) seen[packed_channel(n, tile)] = true;
    for (int n = 0; n < tile; ++n) EXPECT_TRUE(seen[n]) << tile << " " << n;
  }
}

TEST(ConvTile, EveryLayerOfTheSupportedNetworksFitsTheSmallestDevice) {
  for (const int channels :
       {3, 12, 16, 24, 28, 40, 48, 56, 64, 72, 80, 88, 128, 152, 224, 256, 512})
    for (const int size : {320, 160, 112, 80, 56, 40, 28, 20, 14, 7, 1})
      for (const int kernel : {1, 3})
        for (const int stride : {1, 2})
          for (const int batch : {1, 32}) {
            OpParams p;
            p.batch = batch;
            p.in_c = p.out_c = channels;
            p.in_h = p.in_w = size;
            p.kernel_h = p.kernel_w = kernel;
            p.stride_h = p.stride_w = stride;
            p.pad_top = p.pad_left = kernel / 2;
            p.out_h = p.out_w = (size - 1) / stride + 1;
            const ConvMmaPlan plan = plan_conv_mma(p);
            const ConvTile t = choose_tile(p, plan, 64 << 10);
            ASSERT_GT(t.width, 0) << channels << " " << size << " " << kernel << " " << stride;
            EXPECT_LE(t.rows(), kConvRows);
            EXPECT_LE(conv_shared(p, plan, t), size_t{64} << 10);
          }
}

}  // namespace
}  // namespace face::cuda
