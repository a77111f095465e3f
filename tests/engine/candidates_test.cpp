// SPDX-License-Identifier: MIT
// Which ways of a convolution are offered, by shape and precision.
#include "engine/cpu/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace face::cpu {
namespace {

ConvProblem problem(int channels, int height, int width) {
  ConvProblem p;
  p.desc.in_channels = p.desc.out_channels = channels;
  p.desc.in_height = p.desc.out_height = height;
  p.desc.in_width = p.desc.out_width = width;
  return p;
}

bool offers(const ConvProblem& p, Precision precision, const std::string& name) {
  const auto candidates = conv_candidates(p, precision, 1);
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](const Candidate& c) { return c.name == name; });
}

TEST(Candidates, LargestTilesAreForLargeMapsAndSmallWeights) {
  EXPECT_TRUE(offers(problem(64, 112, 112), Precision::kFp32, "winograd6x6"));
  EXPECT_TRUE(offers(problem(128, 48, 48), Precision::kFp32, "winograd6x6"));
  EXPECT_FALSE(offers(problem(64, 112, 47), Precision::kFp32, "winograd6x6"));
  EXPECT_FALSE(offers(problem(64, 47, 112), Precision::kFp32, "winograd6x6"));
  EXPECT_FALSE(offers(problem(129, 48, 48), Precision::kFp32, "winograd6x6"));
  EXPECT_TRUE(offers(problem(129, 48, 48), Precision::kFp32, "winograd4x4"));
}

TEST(Candidates, LargestTilesAreNotOfferedInBf16) {
  EXPECT_TRUE(offers(problem(64, 112, 112), Precision::kBf16, "winograd4x4_bf16"));
  EXPECT_FALSE(offers(problem(64, 112, 112), Precision::kBf16, "winograd6x6_bf16"));
}

bool is_tiles(const Candidate& c) { return c.name.find("tiles") != std::string::npos; }

/// Names of those that take maps of bfloat16, on vectors.
std::vector<std::string> takers(const ConvProblem& p, Precision precision) {
  std::vector<std::string> names;
  for (const Candidate& c : conv_candidates(p, precision, 1))
    if (c.reads_bf16_maps && c.writes_bf16_maps && !is_tiles(c)) names.push_back(c.name);
  return names;
}

TEST(Candidates, TilesAreForMatrixUnitsAlone) {
  const ConvProblem p = problem(64, 112, 112);
  int offered = 0;
  for (const Candidate& c : conv_candidates(p, Precision::kBf16, 1)) offered += is_tiles(c) ? 1 : 0;
  EXPECT_EQ(offered, has_matrix_unit() ? 2 : 0);
  EXPECT_FALSE(offers(p, Precision::kFp32, "tiles_bf16"));
  EXPECT_FALSE(offers(p, Precision::kFp32, "tiles_bf16x3"));
}

TEST(Candidates, OwnBf16KernelsTakeBf16Maps) {
  using Names = std::vector<std::string>;
  const Names winograd = {"winograd2x2_bf16", "winograd2x4_bf16", "winograd4x4_bf16"};
  ConvProblem p = problem(64, 112, 112);
  EXPECT_EQ(takers(p, Precision::kFp32), Names{});
  Names all = winograd;
  all.insert(all.begin(), "direct_bf16");
  EXPECT_EQ(takers(p, Precision::kBf16), all);
  p.desc.max_pool = true;  // which direct convolutions have behind them
  EXPECT_EQ(takers(p, Precision::kBf16), winograd);
  p.desc.max_pool = false;
  p.sigmoid = true;
  EXPECT_EQ(takers(p, Precision::kBf16), Names{});
}

TEST(Candidates, StridedLayersHaveNoWinograd) {
  ConvProblem p = problem(64, 112, 112);
  p.desc.stride = p.stride_w = 2;
  p.desc.out_height = p.desc.out_width = 56;
  EXPECT_FALSE(offers(p, Precision::kFp32, "winograd6x6"));
  EXPECT_FALSE(offers(p, Precision::kFp32, "winograd4x4"));
  EXPECT_TRUE(offers(p, Precision::kFp32, "direct"));
}

}  // namespace
}  // namespace face::cpu
