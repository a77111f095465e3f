// SPDX-License-Identifier: MIT
#include "tests/support/goldens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace face::test {
namespace {

Face parse_face(const nlohmann::json& j) {
  Face face;
  Detection& d = face.detection;
  d.x1 = j["bbox"][0], d.y1 = j["bbox"][1], d.x2 = j["bbox"][2], d.y2 = j["bbox"][3];
  d.score = j["score"];
  for (int i = 0; i < kLandmarks; ++i) d.landmarks[i] = {j["kps"][i][0], j["kps"][i][1]};
  face.embedding = j["embedding"].get<std::vector<float>>();
  return face;
}

/// Plain intersection over union of two boxes.
float overlap(const Detection& a, const Detection& b) {
  const float w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(w > 0.f && h > 0.f)) return 0.f;
  const float area_a = (a.x2 - a.x1) * (a.y2 - a.y1), area_b = (b.x2 - b.x1) * (b.y2 - b.y1);
  return w * h / (area_a + area_b - w * h);
}

const Face* best_match(const Face& face, std::span<const Face> among) {
  const Face* best = nullptr;
  float most = 0.5f;
  for (const Face& other : among) {
    const float iou = overlap(face.detection, other.detection);
    if (iou > most) best = &other, most = iou;
  }
  return best;
}

float landmark_distance(const Detection& want, const Detection& got) {
  float worst = 0.f;
  for (int i = 0; i < kLandmarks; ++i)
    worst = std::max(worst, std::hypot(want.landmarks[i].x - got.landmarks[i].x,
                                       want.landmarks[i].y - got.landmarks[i].y));
  return worst / (want.x2 - want.x1);
}

void compare_face(const Face& want, const Face& got, const Agreement& allowed, Deviation& seen) {
  const float iou = overlap(want.detection, got.detection);
  const float landmarks = landmark_distance(want.detection, got.detection);
  const float score = std::fabs(want.detection.score - got.detection.score);
  ASSERT_EQ(got.embedding.size(), want.embedding.size());
  const float angle = cosine(want.embedding, got.embedding);
  EXPECT_GE(iou, allowed.iou);
  EXPECT_LE(landmarks, allowed.landmarks);
  EXPECT_LE(score, allowed.score);
  EXPECT_GE(angle, allowed.cosine);
  seen.iou = std::min(seen.iou, iou);
  seen.landmarks = std::max(seen.landmarks, landmarks);
  seen.score = std::max(seen.score, score);
  seen.cosine = std::min(seen.cosine, angle);
  seen.cosine_sum += angle;
  ++seen.faces;
}

}  // namespace

Goldens read_goldens(const std::filesystem::path& path) {
  const auto j = nlohmann::json::parse(std::ifstream(path));
  Goldens goldens;
  for (const auto& size : j["det_sizes"]) goldens.det_sizes.push_back(size[0]);
  goldens.threshold = j["det_thresh"];
  goldens.nms_iou = j["nms_thresh"];
  for (const auto& photo : j["images"]) {
    goldens.photos.push_back({photo["image"], {}});
    for (const auto& face : photo["faces"]) goldens.photos.back().faces.push_back(parse_face(face));
  }
  return goldens;
}

void compare_faces(const GoldenPhoto& golden, std::span<const Face> ours, const Agreement& allowed,
                   Deviation& seen) {
  for (size_t i = 0; i < golden.faces.size(); ++i) {
    const Face& want = golden.faces[i];
    SCOPED_TRACE(golden.file + ", face " + std::to_string(i) + " of the reference, score " +
                 std::to_string(want.detection.score));
    const Face* got = best_match(want, ours);
    if (got != nullptr) {
      compare_face(want, *got, allowed, seen);
    } else if (want.detection.score >= kSureScore) {
      ADD_FAILURE() << "missed";
    }
  }
  for (size_t i = 0; i < ours.size(); ++i)
    if (ours[i].detection.score >= kSureScore && best_match(ours[i], golden.faces) == nullptr)
      ADD_FAILURE() << golden.file << ": extra face " << i << ", score " << ours[i].detection.score;
}

float cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0., aa = 0., bb = 0.;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return static_cast<float>(dot / std::sqrt(aa * bb));
}

}  // namespace face::test
