// SPDX-License-Identifier: MIT
// tests/kernels/decode_test.cpp - candidates and non-maximum suppression against plain versions.
#include "kernels/cpu/decode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/nms.h"
#include "kernels/math/anchors.h"

namespace face::cpu {
namespace {

/// A level of noise: two anchors, channels score, box, landmark as an SCRFD head merges them.
struct Level {
  Level(int height, int width, int stride, uint32_t seed) : values(size_t(height) * width * 30) {
    std::mt19937 random(seed);
    std::normal_distribution<float> noise(0.f, 2.f);
    for (float& v : values) v = noise(random);
    view = {values.data(), height, width, 30, stride, 2, 0, 2, 10};
  }
  std::vector<float> values;
  LevelView view;
};

std::vector<Candidate> naive_decode(const LevelView& level, float threshold, float scale,
                                    uint32_t first) {
  std::vector<Candidate> all;
  for (uint32_t i = 0; i < level.anchor_count(); ++i) {
    const int cell = static_cast<int>(i) / level.anchors, anchor = static_cast<int>(i) % 2;
    const float* v = level.data + size_t(cell) * level.channels;
    const float score = sigmoid(v[anchor]);
    if (score < threshold) continue;
    all.push_back({decode_anchor(v + 2 + 4 * anchor, v + 10 + 10 * anchor, cell / level.width,
                                 cell % level.width, level.stride, scale, score),
                   first + i});
  }
  std::sort(all.begin(), all.end(),
            [](const Candidate& a, const Candidate& b) { return ranks_before(a, b); });
  return all;
}

void expect_same(std::span<const Candidate> got, std::span<const Candidate> want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].index, want[i].index) << i;
    EXPECT_EQ(got[i].detection.score, want[i].detection.score) << i;
    EXPECT_EQ(got[i].detection.x1, want[i].detection.x1) << i;
    EXPECT_EQ(got[i].detection.landmarks[4].y, want[i].detection.landmarks[4].y) << i;
  }
}

TEST(DecodeLevel, FindsWhatReachesTheThreshold) {
  for (float threshold : {0.f, 0.02f, 0.5f, 0.9f, 0.9999f, 1.f}) {
    const Level level(13, 7, 16, 3);
    Candidates candidates(1000);
    ASSERT_TRUE(decode_level(level.view, threshold, 0.6f, 40, candidates));
    expect_same(candidates.sorted(), naive_decode(level.view, threshold, 0.6f, 40));
  }
}

TEST(DecodeLevel, KeepsTheBestOfTooMany) {
  const Level level(80, 80, 8, 7);
  auto want = naive_decode(level.view, 0.f, 1.f, 0);
  ASSERT_EQ(want.size(), 12'800u);
  for (size_t capacity : {1, 2, 100, 6'400, 12'799, 12'800, 20'000}) {
    Candidates candidates(capacity);
    ASSERT_TRUE(decode_level(level.view, 0.f, 1.f, 0, candidates));
    expect_same(candidates.sorted(), std::span(want).first(std::min(capacity, want.size())));
  }
}

TEST(DecodeLevel, TiesAtTheLimitGoByIndex) {
  Level level(20, 20, 8, 1);
  for (int cell = 0; cell < 400; ++cell)
    level.values[size_t(cell) * 30] = level.values[size_t(cell) * 30 + 1] = 1.f;
  Candidates candidates(37);
  ASSERT_TRUE(decode_level(level.view, 0.5f, 1.f, 0, candidates));
  const auto best = candidates.sorted();
  ASSERT_EQ(best.size(), 37u);
  for (uint32_t i = 0; i < 37; ++i) EXPECT_EQ(best[i].index, i);
}

TEST(DecodeLevel, RefusesWhatIsNotFinite) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  for (float bad : {nan, inf, -inf}) {
    for (int channel : {0, 1, 2, 9, 10, 29}) {
      Level level(4, 4, 8, 1);
      const int anchor = channel < 2 ? channel : (channel == 9 || channel == 29) ? 1 : 0;
      level.values[size_t(15) * 30 + anchor] = 5.f;
      level.values[size_t(15) * 30 + channel] = bad;
      Candidates candidates(100);
      EXPECT_FALSE(decode_level(level.view, 0.5f, 1.f, 0, candidates)) << channel << " " << bad;
    }
  }
  Level quiet(4, 4, 8, 1);  // a box nobody asks for may hold anything
  for (int cell = 0; cell < 16; ++cell)
    quiet.values[size_t(cell) * 30] = quiet.values[size_t(cell) * 30 + 1] = -9.f;
  quiet.values[5] = nan;
  Candidates candidates(100);
  EXPECT_TRUE(decode_level(quiet.view, 0.5f, 1.f, 0, candidates));
  EXPECT_TRUE(candidates.sorted().empty());
}

TEST(Candidates, StartAfreshAfterClear) {
  Candidates candidates(2);
  for (uint32_t i = 0; i < 9; ++i) candidates.add({{0, 0, 0, 0, 0.5f + 0.01f * i, {}}, i});
  EXPECT_EQ(candidates.sorted()[0].index, 8u);
  candidates.clear();
  candidates.add({{0, 0, 0, 0, 0.1f, {}}, 3});
  ASSERT_EQ(candidates.sorted().size(), 1u);
  EXPECT_EQ(candidates.sorted()[0].index, 3u);
}

Candidate box(float x1, float y1, float x2, float y2, float score, uint32_t index) {
  return {{x1, y1, x2, y2, score, {}}, index};
}

TEST(Nms, KeepsTheBestOfEachHeap) {
  const std::vector<Candidate> candidates = {
      box(0, 0, 99, 99, 0.9f, 0),   box(5, 5, 104, 104, 0.8f, 1), box(200, 0, 299, 99, 0.7f, 2),
      box(30, 0, 129, 99, 0.6f, 3),  // 70 of 130 columns shared with the first: 0.54
      box(50, 0, 149, 99, 0.5f, 4),  // 50 of 150: 0.33, kept
  };
  Nms nms(10);
  std::vector<Detection> kept;
  nms.run(candidates, 0.4f, kept);
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept[0].score, 0.9f);
  EXPECT_EQ(kept[1].score, 0.7f);
  EXPECT_EQ(kept[2].score, 0.5f);
  nms.run({}, 0.4f, kept);
  EXPECT_TRUE(kept.empty());
}

TEST(Nms, EqualsThePlainLoop) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> place(0.f, 400.f), side(-1.f, 90.f);
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < 2'000; ++i) {
    const float x = place(random), y = place(random);
    candidates.push_back(box(x, y, x + side(random), y + side(random), 1.f - 4e-4f * i, i));
  }
  for (float threshold : {0.f, 0.1f, 0.4f, 0.7f, 1.f}) {
    std::vector<const Candidate*> want;
    for (const Candidate& c : candidates) {
      const bool dead = std::any_of(want.begin(), want.end(), [&](const Candidate* k) {
        return suppresses(iou(box_of(k->detection), box_of(c.detection)), threshold);
      });
      if (!dead) want.push_back(&c);
    }
    std::vector<Detection> kept;
    Nms(2'000).run(candidates, threshold, kept);
    ASSERT_EQ(kept.size(), want.size()) << threshold;
    for (size_t i = 0; i < kept.size(); ++i)
      EXPECT_EQ(kept[i].score, want[i]->detection.score) << threshold;
  }
}

}  // namespace
}  // namespace face::cpu
