// SPDX-License-Identifier: MIT
// Each wrapper of kernels/cuda/gpu.h, on the emulator and on GPUs, against what PTX's manual says:
// that these pass on a GPU is what makes the emulator's word on kernels worth something.
#include "tests/cuda/wrappers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "kernels/math/half.h"
#include "tests/cuda/on_device.h"

namespace face::cuda {
namespace {

class Wrappers : public OnDevice {
 protected:
  __half* halves(const std::vector<float>& values) {
    std::vector<uint16_t> bits;
    for (const float v : values) bits.push_back(half_from_float(v));
    return reinterpret_cast<__half*>(device(bits));
  }
  static std::vector<float> random_halves(size_t count) {
    std::mt19937 generator(4);
    std::uniform_real_distribution<float> uniform(-2, 2);
    std::vector<float> values(count);
    for (float& v : values) v = float_from_half(half_from_float(uniform(generator)));
    return values;
  }
  static bool has_matrix_instructions() { return generations().back().tensor_cores(); }
};

TEST_F(Wrappers, MatrixProductsAddToWhatWasThere) {
  if (!has_matrix_instructions()) GTEST_SKIP() << "no tensor cores";
  const std::vector<float> a = random_halves(16 * 16), b = random_halves(16 * 8);
  for (const bool in_halves : {false, true}) {
    SCOPED_TRACE(in_halves ? "m16n8k8" : "m16n8k16");
    std::vector<float> before(16 * 8);
    for (size_t i = 0; i < before.size(); ++i) before[i] = static_cast<float>(i) / 16;
    float* d = device(before);
    ASSERT_EQ(multiply(halves(a), halves(b), d, in_halves), cudaSuccess);
    ASSERT_EQ(fault(), "no error");
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 8; ++n) {
        double want = before[m * 8 + n], size = want;
        for (int k = 0; k < 16; ++k) {
          want += double(a[m * 16 + k]) * b[k * 8 + n];
          size += std::abs(double(a[m * 16 + k]) * b[k * 8 + n]);
        }
        // Products are exact; each of 17 terms may lose a last bit of the float32 sum.
        EXPECT_NEAR(d[m * 8 + n], want, 17 * size / (1 << 23)) << m << "," << n;
      }
  }
}

TEST_F(Wrappers, MatricesAreDealtToLanes) {
  if (!has_matrix_instructions()) GTEST_SKIP() << "no tensor cores";
  std::vector<uint16_t> values(4 * 64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint16_t>(i);
  uint32_t *x4 = poisoned<uint32_t>(32 * 4), *x2 = poisoned<uint32_t>(32 * 2);
  ASSERT_EQ(load_matrices(reinterpret_cast<const __half*>(device(values)), x4, x2), cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t matrix = 0; matrix < 4; ++matrix) {
      const uint32_t first = matrix * 64 + lane / 4 * 8 + lane % 4 * 2;
      EXPECT_EQ(x4[lane * 4 + matrix], first | (first + 1) << 16) << lane << "," << matrix;
      if (matrix < 2) {
        EXPECT_EQ(x2[lane * 2 + matrix], first | (first + 1) << 16) << lane << "," << matrix;
      }
    }
}

TEST_F(Wrappers, CopiesArriveGroupByGroupAndInvalidOnesAreZeros) {
  std::vector<uint4> from(3 * 32);
  for (uint32_t i = 0; i < from.size(); ++i) from[i] = {4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4};
  uint4* to = poisoned<uint4>(from.size());
  ASSERT_EQ(copy_in_groups(device(from), to), cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  for (uint32_t i = 0; i < from.size(); ++i) {
    const uint32_t lane = 31 - i % 32, source = i - i % 32 + lane;
    EXPECT_EQ(to[i].x, lane % 2 == 0 ? 4 * source + 1 : 0) << i;
    EXPECT_EQ(to[i].w, lane % 2 == 0 ? 4 * source + 4 : 0) << i;
  }
}

TEST_F(Wrappers, LaunchGrantsAllTheSharedMemoryOfTheDevice) {
  for (const int bytes : {4096, 48 << 10, generations().back().max_shared}) {
    std::vector<float> from(bytes / sizeof(float));
    for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
    const int count = static_cast<int>(from.size());
    if (bytes > 48 << 10) become(generations().back());
    float* to = poisoned<float>(from.size());
    ASSERT_EQ(reverse_in_shared(device(from), to, count), cudaSuccess) << bytes;
    ASSERT_EQ(fault(), "no error");
    for (int i = 0; i < count; ++i) ASSERT_EQ(to[i], from[count - 1 - i]) << i;
  }
}

TEST_F(Wrappers, ShufflesAndVotes) {
  std::vector<int> x(128);
  for (int i = 0; i < 128; ++i) x[i] = i * i;
  int* out = poisoned<int>(2);
  ASSERT_EQ(sum_and_vote(device(x), out), cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  EXPECT_EQ(out[0], 127 * 128 * 255 / 6);
  EXPECT_EQ(static_cast<uint32_t>(out[1]), 0x49249249u);
}

/// Whether half `h` is the one nearest to `exact`, of two equally near the even one.
bool is_rounded(uint16_t h, long double exact) {
  const long double found = float_from_half(h);
  if (std::isnan(exact)) return std::isnan(found);
  if (std::abs(exact) >= 65520) return found == std::copysign(INFINITY, exact);
  if (found == 0) return std::abs(exact) <= 0x1p-25L;
  if (!(std::abs(found) <= kHalfMax)) return false;
  const long double off = std::abs(found - exact);
  for (const int step : {-1, 1}) {
    const long double next = float_from_half(static_cast<uint16_t>(h + step));
    const long double other = std::abs(next - exact);  // of 65504: of infinity, see above
    if (other < off || (other == off && h % 2 == 1)) return false;
  }
  return true;
}

TEST_F(Wrappers, PairsOfHalvesAreMultipliedAndAddedWithOneRounding) {
  struct Row {
    float a, b, c;
  };
  std::vector<float> a, b, c;
  for (const Row& row : std::initializer_list<Row>{
           {1 + 1.f / 1024, 1 - 1.f / 1024, -1},    // -2^-20: a rounded product gives 0
           {1 + 1.f / 1024, 1 + 1.f / 1024, -1},    // 2^-9 + 2^-20
           {1 + 1.f / 32, 1 + 1.f / 64, 0x1p-24f},  // 2^-11 past a half: a tie but for c
           {1 + 1.f / 32, 1 + 1.f / 64, -0x1p-24f},
           {1 + 1.f / 32, 1 + 1.f / 64, 0},  // the tie
           {0x1p-12f, 0x1p-13f, 0},          // half the smallest: to even, 0
           {0x1p-12f, 0x1.8p-13f, 0},        // 0.75 of it
           {0x1p-24f, 0x1p-24f, 1},          // nothing is left of the product
           {0x1p-24f, 0x1p-24f, 65504},
           {256, 255, 224},  // 65504: the largest
           {256, 255, 239},
           {256, 255, 240},
           {256, 256, 0},
           {-256, 256, 0},
           {60000, 60000, -60000},
           {INFINITY, 0, 1},
           {INFINITY, -2, 1},
           {INFINITY, 1, -INFINITY},
           {NAN, 0, 0}}) {
    a.push_back(row.a), b.push_back(row.b), c.push_back(row.c);
  }
  std::mt19937 generator(9);
  std::uniform_int_distribution<int> bits(0, 0xffff);
  while (a.size() % 2 == 1 || a.size() < 1 << 16)
    for (auto* values : {&a, &b, &c}) values->push_back(float_from_half(uint16_t(bits(generator))));
  const auto pairs = [&](const std::vector<float>& values) {
    return reinterpret_cast<const __half2*>(halves(values));
  };
  uint16_t* d = poisoned<uint16_t>(a.size());
  ASSERT_EQ(multiply_add_pairs(pairs(a), pairs(b), pairs(c), reinterpret_cast<__half2*>(d),
                               static_cast<int>(a.size() / 2)),
            cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  for (size_t i = 0; i < a.size(); ++i) {
    const auto half = [](float v) { return double(float_from_half(half_from_float(v))); };
    // Exact in long double: 64 bits from 2^-48 on reach 2^16; what is larger is infinite.
    const long double exact = static_cast<long double>(half(a[i])) * half(b[i]) + half(c[i]);
    EXPECT_TRUE(is_rounded(d[i], exact))
        << a[i] << " * " << b[i] << " + " << c[i] << ": " << float_from_half(d[i]);
  }
}

TEST_F(Wrappers, HalvesAreRoundedAsOnTheHost) {
  constexpr int kCount = 1 << 16;
  std::mt19937 generator(8);
  std::vector<float> x(kCount);
  std::vector<uint16_t> y(kCount);
  for (int i = 0; i < kCount; ++i) {
    y[i] = static_cast<uint16_t>(i);
    x[i] = std::ldexp(std::uniform_real_distribution<float>(-1, 1)(generator), i % 44 - 26);
  }
  uint16_t* rounded = poisoned<uint16_t>(kCount);
  float* numbers = poisoned<float>(kCount);
  ASSERT_EQ(convert(device(x), reinterpret_cast<__half*>(rounded),
                    reinterpret_cast<const __half*>(device(y)), numbers, kCount),
            cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(rounded[i], half_from_float(x[i])) << x[i];
    const float want = float_from_half(y[i]);
    ASSERT_TRUE(numbers[i] == want || (std::isnan(numbers[i]) && std::isnan(want))) << i;
  }
}

}  // namespace
}  // namespace face::cuda
