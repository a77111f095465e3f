// SPDX-License-Identifier: MIT
// What is tried to find the fastest way of a layer: cheap heats of all, finals of the fast ones.
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "engine/cpu/selection.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

/// How often a candidate ran, and on how much.
struct Seen {
  int runs = 0, largest_batch = 0, tallest = 0;
};

/// Of this thread.
double cpu_milliseconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
}

class Pretender final : public Layer {
 public:
  Pretender(const ConvDesc& desc, double time, Seen& seen)
      : desc_(desc), time_(time), seen_(seen) {}
  [[nodiscard]] std::string name() const override { return "pretender"; }
  [[nodiscard]] size_t weight_bytes() const override { return 64; }
  [[nodiscard]] size_t scratch_bytes(int) const override { return 0; }
  void run(const float*, const float*, float*, int batch, void*, const Parallel&) const override {
    ++seen_.runs;
    seen_.largest_batch = std::max(seen_.largest_batch, batch);
    seen_.tallest = std::max(seen_.tallest, desc_.out_height);
    const double end = cpu_milliseconds() + time_;
    while (cpu_milliseconds() < end) {
    }
  }

 private:
  ConvDesc desc_;
  double time_;  // ms of work
  Seen& seen_;
};

Candidate pretender(const std::string& name, int milliseconds, Seen& seen) {
  return {name, [milliseconds, &seen](const ConvProblem& p) -> std::unique_ptr<Layer> {
            return std::make_unique<Pretender>(p.desc, milliseconds, seen);
          }};
}

/// A large map; `channels` tells problems of different tests apart.
ConvProblem problem_of(int channels) {
  ConvProblem p;
  p.desc.max_batch = 2;
  p.desc.in_channels = p.desc.out_channels = channels;
  p.desc.in_height = p.desc.out_height = 640;
  p.desc.in_width = p.desc.out_width = 32;
  return p;
}

class TunerTest : public testing::Test {
 protected:
  std::vector<Timing> time(int channels, const std::vector<Candidate>& candidates) {
    return time(problem_of(channels), candidates);
  }
  std::vector<Timing> time(const ConvProblem& problem, const std::vector<Candidate>& candidates) {
    const size_t count = size_t(2) * problem.desc.in_channels * 640 * 32;
    const AlignedFloats input = aligned_zeros(count), output = aligned_zeros(count);
    return Tuner::shared().time(problem, Precision::kFp32, candidates,
                                {input.get(), nullptr, output.get()}, 2, serial_parallel());
  }
  Seen fast_, near_, slow_;
};

TEST_F(TunerTest, OnlyFastCandidatesSeeTheWholeProblem) {
  const std::vector<Candidate> candidates = {
      pretender("slow", 200, slow_), pretender("fast", 50, fast_), pretender("near", 50, near_)};
  // A machine that is busy elsewhere can make one of two equals lose a heat, not time after time.
  for (int channels = 200; channels < 210 && fast_.tallest < 640; ++channels) {
    const auto timings = time(channels, candidates);
    ASSERT_EQ(timings.size(), 3u);
    EXPECT_EQ(timings[0].name, "slow");
    EXPECT_EQ(timings[2].name, "near");
    for (const Timing& t : timings) EXPECT_TRUE(std::isfinite(t.milliseconds)) << t.name;
    EXPECT_GT(timings[0].milliseconds, timings[1].milliseconds);
    EXPECT_NE(choose({timings}, 1 << 20)[0], 0u);
  }
  EXPECT_EQ(slow_.largest_batch, 1);
  EXPECT_LT(slow_.tallest, 640);
  EXPECT_EQ(fast_.largest_batch, 2);
  EXPECT_EQ(fast_.tallest, 640);
  EXPECT_EQ(near_.tallest, 640);
}

TEST_F(TunerTest, KnownProblemsAreNotTimedAgain) {
  const std::vector<Candidate> candidates = {pretender("one", 1, fast_),
                                             pretender("two", 1, near_)};
  const auto first = time(211, candidates);
  const int runs = fast_.runs;
  EXPECT_GT(runs, 0);
  const auto second = time(211, candidates);
  EXPECT_EQ(fast_.runs, runs);
  EXPECT_EQ(second[0].milliseconds, first[0].milliseconds);
}

TEST_F(TunerTest, WhatFollowsASumIsTimedApartIfTheSumIsShort) {
  const std::vector<Candidate> candidates = {pretender("one", 1, fast_),
                                             pretender("two", 1, near_)};
  for (const int channels : {7, 97}) {
    const ConvProblem plain = problem_of(channels);
    ConvProblem finished = plain, upsampled = plain;
    finished.desc.activation = ConvActivation::kPrelu;
    finished.desc.border_bias = true;
    upsampled.desc.addend_upsampled = true;
    (void)time(plain, candidates);
    const int runs = fast_.runs;
    (void)time(finished, candidates);
    EXPECT_EQ(fast_.runs > runs, channels == 7) << channels;
    const int more_runs = fast_.runs;
    (void)time(upsampled, candidates);
    EXPECT_GT(fast_.runs, more_runs) << channels;
  }
}

TEST_F(TunerTest, TheOnlyCandidateIsNotTried) {
  const auto timings = time(212, {pretender("only", 1, fast_)});
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_EQ(timings[0].name, "only");
  EXPECT_EQ(timings[0].weight_bytes, size_t(212) * 212 * 9 * 4);
  EXPECT_EQ(fast_.runs, 0);
}

TEST_F(TunerTest, WhatCannotComputeTheProblemIsLeftOut) {
  const Candidate refuses{"refuses", [](const ConvProblem&) { return nullptr; }};
  const Candidate gives_up{"gives_up", [this](const ConvProblem& p) -> std::unique_ptr<Layer> {
                             if (p.desc.out_height == 640) return nullptr;
                             return pretender("", 1, slow_).make(p);
                           }};
  const auto timings = time(213, {refuses, gives_up, pretender("works", 1, fast_)});
  ASSERT_EQ(timings.size(), 1u);
  EXPECT_EQ(timings[0].name, "works");
}

TEST_F(TunerTest, ErrorsOfMakingReachTheCaller) {
  const Candidate throws{
      "throws", [](const ConvProblem&) -> std::unique_ptr<Layer> { throw std::bad_alloc(); }};
  EXPECT_THROW(time(214, {pretender("one", 1, fast_), throws}), std::bad_alloc);
}

}  // namespace
}  // namespace face::cpu
