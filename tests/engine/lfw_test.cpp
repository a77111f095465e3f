// SPDX-License-Identifier: MIT
// tests/engine/lfw_test.cpp - same person or not, on the shared folder's pairs of photos: bf16
// must tell them apart as well as fp32 does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "engine/face_engine.h"
#include "tests/support/goldens.h"
#include "tests/support/models.h"
#include "tests/support/shared.h"

namespace face {
namespace {

struct Pair {
  std::string first, second;
  bool same = false;
};

std::vector<Pair> read_pairs() {
  std::ifstream file(test::shared_dir() / "lfw_mini/pairs.tsv");
  std::string line;
  std::getline(file, line);  // headings
  std::vector<Pair> pairs;
  Pair pair;
  while (file >> pair.first >> pair.second >> pair.same) pairs.push_back(pair);
  return pairs;
}

/// Embedding of the face nearest to the photo's centre; empty if there is none.
std::vector<float> embedding_of(FaceEngine& engine, const std::string& file) {
  const Image photo = test::read_photo(test::shared_dir() / "lfw_mini" / file);
  const std::vector<ImageView> views = {photo.view()};
  std::vector<Face> faces = engine.run(views)[0];
  const auto distance = [&](const Face& f) {
    return std::hypot(f.detection.x1 + f.detection.x2 - static_cast<float>(photo.width()),
                      f.detection.y1 + f.detection.y2 - static_cast<float>(photo.height()));
  };
  const auto central =
      std::min_element(faces.begin(), faces.end(),
                       [&](const Face& a, const Face& b) { return distance(a) < distance(b); });
  return central == faces.end() ? std::vector<float>() : std::move(central->embedding);
}

/// Pairs told apart rightly at the best threshold. A photo without a face is like nobody.
int right_pairs(Precision precision, const std::vector<Pair>& pairs) {
  EngineOptions options;
  options.device.kind = DeviceKind::kCpu;
  options.pipeline.precision = precision;
  options.pipeline.max_batch = 1;
  FaceEngine engine(test::convert_shared("scrfd_500m_bnkps", "arcface_mobilefacenet_y1"), options);
  std::map<std::string, std::vector<float>> embeddings;
  std::vector<std::pair<float, bool>> likeness;
  for (const Pair& pair : pairs) {
    for (const std::string& file : {pair.first, pair.second})
      if (!embeddings.contains(file)) embeddings[file] = embedding_of(engine, file);
    const auto &a = embeddings[pair.first], &b = embeddings[pair.second];
    likeness.emplace_back(a.empty() || b.empty() ? -1.f : test::cosine(a, b), pair.same);
  }
  int best = 0;
  for (const auto& [threshold, unused] : likeness) {
    const float limit = threshold;
    best = std::max(best, static_cast<int>(std::count_if(
                              likeness.begin(), likeness.end(),
                              [limit](const auto& p) { return (p.first >= limit) == p.second; })));
  }
  return best;
}

TEST(LfwMini, Bf16IsAsRightAsFp32) {
  FACE_REQUIRE_SHARED("lfw_mini/pairs.tsv");
  const std::vector<Pair> pairs = read_pairs();
  ASSERT_EQ(pairs.size(), 120u);
  const int fp32 = right_pairs(Precision::kFp32, pairs);
  const int bf16 = right_pairs(Precision::kBf16, pairs);
  std::printf("right pairs of 120: fp32 %d, bf16 %d\n", fp32, bf16);
  EXPECT_GE(fp32, 114);  // else the pairs tell nothing
  EXPECT_GE(bf16, fp32 - 1);
}

}  // namespace
}  // namespace face
