// SPDX-License-Identifier: MIT
// tests/engine/precision_check_test.cpp - which errors are asked for, and when a kept one is taken.
#include "engine/cpu/precision_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "engine/cpu/executor.h"
#include "engine/cpu/timing_file.h"
#include "tests/engine/op_cases.h"
#include "tests/engine/timed_conv.h"

namespace face::cpu {
namespace {

using test::OwnedNetwork;
using test::timed;
using Names = std::vector<std::string>;

/// The ways found where errors are `factor` times those expected, and how often one was asked for.
struct Found {
  Names names;
  int asked = 0;
};
Found find(double tolerance, double factor) {
  const std::vector<TimedConv> convs = {timed(10, 6, 1), timed(10, 3, 2.5), timed(1, 2, 3)};
  Found found;
  const Ways ways = exact_enough_ways(convs, 1 << 20, tolerance, [&](const Ways& asked) {
    ++found.asked;
    return factor * std::sqrt(squared_error(asked));
  });
  for (const Candidate* way : ways) found.names.push_back(way->name);
  return found;
}

TEST(ExactEnoughWays, AreTheFastestThatKeepTheTolerance) {
  EXPECT_EQ(find(2e-2, 1).names, (Names{"coarse", "coarse", "exact"}));
  EXPECT_EQ(find(1.3e-2, 1).names, (Names{"coarse", "middling", "exact"}));
  EXPECT_EQ(find(6e-3, 1).names, (Names{"middling", "middling", "exact"}));
  EXPECT_EQ(find(1e-6, 1).names, (Names{"exact", "exact", "exact"}));
  EXPECT_EQ(find(2e-2, 1e6).names, (Names{"exact", "exact", "exact"}));
  EXPECT_EQ(find(2e-2, std::numeric_limits<double>::infinity()).names,
            (Names{"exact", "exact", "exact"}));
}

/// How many layers become more exact.
ptrdiff_t changed(const std::vector<TimedConv>& convs, size_t weight_budget, double tolerance) {
  const Ways ways = exact_enough_ways(convs, weight_budget, tolerance, [](const Ways& asked) {
    return std::sqrt(squared_error(asked));
  });
  EXPECT_LE(weight_bytes(convs, ways), weight_budget);
  return std::count_if(ways.begin(), ways.end(),
                       [](const Candidate* way) { return way->name == "middling"; });
}

TEST(ExactEnoughWays, ChangeNoMoreLayersAlikeThanNeeded) {
  const std::vector<TimedConv> alike(6, timed(10, 3, 1));
  EXPECT_EQ(changed(alike, 1 << 20, 2.4e-2), 3);  // sqrt(3 * 4e-3^2 + 3 * 1.2e-2^2) = 2.2e-2
  std::vector<TimedConv> crossed(2, timed(10, 3, 1));
  crossed[0].timings[2].weight_bytes = crossed[1].timings[1].weight_bytes = 100;
  crossed[0].timings[1].weight_bytes = crossed[1].timings[2].weight_bytes = 400;
  EXPECT_EQ(changed(crossed, 800, 1.6e-2), 1);
  EXPECT_EQ(changed(crossed, 500, 1.6e-2), 2);  // one alone would take 800 bytes
}

/// Where errors of the first layers count most, they alone change.
TEST(ExactEnoughWays, FindTheLayersThatCount) {
  const std::vector<TimedConv> alike(40, timed(10, 3, 1));
  const auto is_coarse = [](const Candidate* way) { return way->name == "coarse"; };
  int asked = 0;
  const Ways ways = exact_enough_ways(alike, 1 << 20, 2e-2, [&](const Ways& some) {
    ++asked;
    return is_coarse(some[0]) || is_coarse(some[1]) ? 5e-2 : 1e-2;
  });
  EXPECT_FALSE(is_coarse(ways[0]) || is_coarse(ways[1]));
  EXPECT_GE(std::count_if(ways.begin(), ways.end(), is_coarse), 36);
  EXPECT_LE(asked, 8);
}

TEST(ExactEnoughWays, AskOnlyAboutWhatMayBeEnough) {
  EXPECT_EQ(find(2e-2, 1).asked, 1);
  EXPECT_EQ(find(6e-3, 1).asked, 3);  // how much both layers count, then what is enough
  EXPECT_EQ(find(1e-6, 1).asked, 1);  // float32 throughout is no question
}

/// A first layer, one that bfloat16 may compute, and one that ends it.
constexpr test::OpCase kCase = {.name = "middle",
                                .in = 32,
                                .out = 32,
                                .height = 24,
                                .width = 24,
                                .activation = Activation::kPrelu};

/// kCase's network with one thing changed.
void fill(OwnedNetwork& owned, const std::function<void(Network&)>& change = {}) {
  test::fill_op_case(owned, kCase);
  if (change) change(owned.network);
}

void flip_sign(std::span<const float> values, size_t i) {
  const_cast<float&>(values[i]) = -values[i];
}

struct Change {
  const char* name;
  std::function<void(Network&)> apply;
};
const Change kChanges[] = {
    {"first weight", [](Network& n) { flip_sign(n.ops[1].weights, 0); }},
    {"last weight", [](Network& n) { flip_sign(n.ops[1].weights, n.ops[1].weights.size() - 1); }},
    {"two signs",
     [](Network& n) {
       flip_sign(n.ops[1].weights, 1);
       flip_sign(n.ops[1].weights, 3);
     }},
    {"two weights swapped",
     [](Network& n) {
       std::swap(const_cast<float&>(n.ops[1].weights[4]), const_cast<float&>(n.ops[1].weights[6]));
     }},
    {"lowest bit",
     [](Network& n) {
       float& weight = const_cast<float&>(n.ops[1].weights[7]);
       weight = std::nextafter(weight, 2.f);
     }},
    {"weight of another op", [](Network& n) { flip_sign(n.ops[0].weights, 5); }},
    {"bias", [](Network& n) { flip_sign(n.ops[1].bias, 31); }},
    {"slope", [](Network& n) { flip_sign(n.ops[1].slopes, 31); }},
    {"activation", [](Network& n) { n.ops[1].activation = Activation::kRelu; }},
    {"output", [](Network& n) { n.outputs[0].sigmoid = true; }},
};

TEST(NetworkDigest, EveryNumberCounts) {
  OwnedNetwork plain, same;
  fill(plain);
  fill(same);
  std::set<uint64_t> digests = {network_digest(plain.network, serial_parallel())};
  EXPECT_EQ(network_digest(same.network, openmp_parallel(2)), *digests.begin());
  for (const Change& change : kChanges) {
    OwnedNetwork owned;
    fill(owned, change.apply);
    EXPECT_TRUE(digests.insert(network_digest(owned.network, serial_parallel())).second)
        << change.name;
  }
}

/// Options under which the ways of kCase's network are known beforehand.
ExecutorOptions options_for(const std::string& timing_path = {}) {
  ExecutorOptions options;
  options.compile = {
      .precision = Precision::kBf16, .max_batch = 2, .threads = 1, .timing_path = timing_path};
  options.bf16_error = 1;
  options.accept = [](const Op& op, const std::string& way) {
    return way == (op.name == kCase.name ? "winograd4x4_bf16" : "direct");
  };
  return options;
}

std::string key_of(const Network& network) {
  const Candidate direct{"direct", {}, 0}, winograd{"winograd4x4_bf16", {}, 1};
  const PrecisionCheck check(network, {3, network.input.height, network.input.width},
                             options_for().compile, {});
  return check.key({&direct, &winograd}, {});
}

TEST(KeptError, IsNotMeasuredAgain) {
  constexpr double kMark = 0.71875;  // nothing that would be found
  OwnedNetwork owned;
  fill(owned);
  const std::string key = key_of(owned.network);
  (void)make_executor(owned.network, options_for());
  const auto found = Tuner::shared().error(key);
  ASSERT_TRUE(found.has_value());
  EXPECT_GT(*found, 1e-4);
  EXPECT_LT(*found, 3e-2);
  Tuner::shared().keep_error(key, kMark);
  (void)make_executor(owned.network, options_for());
  EXPECT_EQ(Tuner::shared().error(key), kMark);
}

TEST(KeptError, DoesNotSurviveAChange) {
  constexpr double kMark = 0.71875;
  OwnedNetwork plain;
  fill(plain);
  Tuner::shared().keep_error(key_of(plain.network), kMark);
  for (const Change& change : kChanges) {
    OwnedNetwork owned;
    fill(owned, change.apply);
    const std::string key = key_of(owned.network);
    EXPECT_FALSE(Tuner::shared().error(key).has_value()) << change.name;
    (void)make_executor(owned.network, options_for());
    const auto found = Tuner::shared().error(key);
    EXPECT_TRUE(found.has_value() && *found < 3e-2) << change.name;
  }
}

TEST(KeptError, IsReadAndWrittenBesideTimings) {
  constexpr double kMark = 0.71875;
  const std::string path = testing::TempDir() + "kept_error.timings";
  OwnedNetwork known, fresh;
  fill(known, [](Network& n) { flip_sign(n.ops[1].weights, 100); });
  fill(fresh, [](Network& n) { flip_sign(n.ops[1].weights, 101); });
  ASSERT_TRUE(write_measurements(path, machine_line(), {{}, {{key_of(known.network), kMark}}}));
  for (const OwnedNetwork* owned : {&known, &fresh})
    (void)make_executor(owned->network, options_for(path));
  const auto errors = read_measurements(path, machine_line()).errors;
  std::filesystem::remove(path);
  ASSERT_TRUE(errors.contains(key_of(known.network)));
  EXPECT_EQ(errors.at(key_of(known.network)), kMark);
  ASSERT_TRUE(errors.contains(key_of(fresh.network)));
  EXPECT_LT(errors.at(key_of(fresh.network)), 3e-2);
}

TEST(KeptError, InfiniteIsNotKept) {
  Tuner::shared().keep_error("infinite", std::numeric_limits<double>::infinity());
  EXPECT_FALSE(Tuner::shared().error("infinite").has_value());
}

TEST(Key, DependsOnSizeTeamWaysAndMaps) {
  OwnedNetwork owned;
  fill(owned);
  const Candidate a{"a", {}, 0}, b{"b", {}, 0}, ab{"ab", {}, 0}, none{"", {}, 0};
  const auto key = [&](const Shape& shape, int threads, int batch, const Ways& ways,
                       const std::vector<bool>& maps = {false, false}) {
    CompileOptions options{.max_batch = batch, .threads = threads};
    return PrecisionCheck(owned.network, shape, options, {}).key(ways, maps);
  };
  const std::set<std::string> keys = {key({3, 24, 24}, 1, 2, {&a, &b}),
                                      key({3, 24, 25}, 1, 2, {&a, &b}),
                                      key({3, 25, 24}, 1, 2, {&a, &b}),
                                      key({3, 24, 24}, 2, 2, {&a, &b}),
                                      key({3, 24, 24}, 1, 1, {&a, &b}),
                                      key({3, 24, 24}, 1, 2, {&b, &a}),
                                      key({3, 24, 24}, 1, 2, {&ab, &none}),
                                      key({3, 24, 24}, 1, 2, {&a, &b}, {true, false}),
                                      key({3, 24, 24}, 1, 2, {&a, &b}, {false, true}),
                                      key({3, 24, 24}, 1, 2, {&a, &b}, {true, true})};
  EXPECT_EQ(keys.size(), 10u);
}

}  // namespace
}  // namespace face::cpu
