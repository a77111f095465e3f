// SPDX-License-Identifier: MIT
// tests/engine/goldens_test.cpp - photos and models of the shared folder, from file to embedding,
// against what the reference answers.
#include "tests/support/goldens.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "engine/face_engine.h"
#include "tests/support/models.h"
#include "tests/support/shared.h"

namespace face {
namespace {

constexpr char kRecogniser[] = "arcface_mobilefacenet_y1";

struct GoldenCase {
  const char* name;
  const char* file;
  const char* detector;
  Precision precision;
};
constexpr GoldenCase kCases[] = {
    {"Scrfd2_5gFp32", "scrfd_2.5g_bnkps.json", "scrfd_2.5g_bnkps", Precision::kFp32},
    {"Scrfd2_5gBf16", "scrfd_2.5g_bnkps.json", "scrfd_2.5g_bnkps", Precision::kBf16},
    {"Scrfd500mFp32", "scrfd_500m_bnkps.json", "scrfd_500m_bnkps", Precision::kFp32},
    {"Scrfd500mBf16", "scrfd_500m_bnkps.json", "scrfd_500m_bnkps", Precision::kBf16},
    {"TwoSizesFp32", "scrfd_2.5g_bnkps.128+640.json", "scrfd_2.5g_bnkps", Precision::kFp32},
    {"TwoSizesBf16", "scrfd_2.5g_bnkps.128+640.json", "scrfd_2.5g_bnkps", Precision::kBf16},
};

void PrintTo(const GoldenCase& c, std::ostream* out) { *out << c.name; }  // NOLINT: gtest's name

class Goldens : public testing::TestWithParam<GoldenCase> {};

TEST_P(Goldens, EveryPhotoAgrees) {
  const GoldenCase& c = GetParam();
  FACE_REQUIRE_SHARED(std::string("goldens/") + c.file);
  const test::Goldens goldens = test::read_goldens(test::shared_dir() / "goldens" / c.file);
  EngineOptions options;
  options.device.kind = DeviceKind::kCpu;
  options.pipeline.precision = c.precision;
  options.pipeline.det_sizes = goldens.det_sizes;
  options.pipeline.score_threshold = goldens.threshold;
  options.pipeline.nms_iou = goldens.nms_iou;
  options.pipeline.max_batch = 2;
  FaceEngine engine(test::convert_shared(c.detector, kRecogniser), options);
  const test::Agreement& allowed =
      c.precision == Precision::kFp32 ? test::kAgreementFp32 : test::kAgreementHalf;

  test::Deviation seen;
  for (const test::GoldenPhoto& golden : goldens.photos) {
    const Image photo = test::read_photo(test::shared_dir() / "images" / golden.file);
    const std::vector<ImageView> views = {photo.view()};
    test::compare_faces(golden, engine.run(views)[0], allowed, seen);
  }
  ASSERT_GT(seen.faces, 100);
  const double mean = seen.cosine_sum / seen.faces;
  std::printf("%d faces; worst: IoU %.5f, landmarks %.5f, score %.5f, cosine %.5f (mean %.6f)\n",
              seen.faces, seen.iou, seen.landmarks, seen.score, seen.cosine, mean);
  EXPECT_GE(mean, allowed.mean_cosine);
}
INSTANTIATE_TEST_SUITE_P(Shared, Goldens, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace face
