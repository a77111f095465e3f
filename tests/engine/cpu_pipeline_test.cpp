// SPDX-License-Identifier: MIT
// tests/engine/cpu_pipeline_test.cpp - the way from pictures to faces around scripted networks.
//
// The detector's script finds a face wherever the letterboxed picture has a pure red pixel, in the
// cell of stride 8 that holds it: score from the green value beside it, box of one cell to each
// side. The recogniser's script answers with the mean of the crop and its first pixel.
#include "engine/cpu/cpu_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/error.h"
#include "kernels/cpu/align.h"
#include "tests/engine/fake_backend.h"
#include "tests/support/picture.h"

namespace face {
namespace {

using testing::HasSubstr;

constexpr float kRed = 127.5f / 128;

/// A logit for each cell of a (size / 8)^2 grid with two anchors; boxes of one cell to each side,
/// landmarks spread by half a cell.
void find_red(const float* input, const Shape& shape,
              std::map<TensorId, std::vector<float>>& tensors) {
  const int grid = shape.height / 8;
  const size_t plane = size_t(shape.height) * shape.width;
  std::vector<float>& head = tensors[2];
  head.assign(size_t(grid) * grid * 30, 0.f);
  for (int i = 0; i < grid * grid; ++i) {
    float* cell = head.data() + size_t(i) * 30;
    cell[0] = cell[1] = -9.f;
    std::fill(cell + 2, cell + 10, 1.f);
    for (int k = 0; k < 2; ++k)
      for (int p = 0; p < 5; ++p) {
        cell[10 + 10 * k + 2 * p] = p % 2 == 0 ? -0.5f : 0.5f;
        cell[11 + 10 * k + 2 * p] = 0.25f * static_cast<float>(p) - 0.5f;
      }
  }
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x) {
      const float* v = input + size_t(y) * shape.width + x;
      if (v[0] != kRed || v[2 * plane] != -kRed) continue;
      head[(size_t(y / 8) * grid + x / 8) * 30] = 1.f + v[plane];
    }
  }
}

void describe_crop(const float* input, const Shape& shape,
                   std::map<TensorId, std::vector<float>>& tensors) {
  const size_t count = size_t(3) * shape.height * shape.width;
  double sum = 0.;
  for (size_t i = 0; i < count; ++i) sum += input[i];
  tensors[2] = {static_cast<float>(sum / static_cast<double>(count)), input[0], 1, 2, 3, 4, 5, 6};
}

struct Spot {
  int x, y;
  uint8_t green;
};

/// A grey picture with red spots.
class Photo {
 public:
  Photo(int width, int height, const std::vector<Spot>& spots)
      : width_(width), height_(height), pixels_(size_t(3) * width * height, 90) {
    for (const Spot& s : spots) {
      uint8_t* p = pixels_.data() + 3 * (size_t(s.y) * width + s.x);
      p[0] = 255, p[1] = s.green, p[2] = 0;
    }
  }
  [[nodiscard]] ImageView view() const {
    return {pixels_.data(), width_, height_, size_t(3) * width_};
  }

 private:
  int width_, height_;
  std::vector<uint8_t> pixels_;
};

class CpuPipelineTest : public testing::Test {
 protected:
  CpuPipelineTest() {
    test::fill_detector(pack->detector_net);
    test::fill_recogniser(pack->recogniser_net);
    backend.detector = find_red;
    backend.recogniser = describe_crop;
    options.det_sizes = {64};
    options.threads = 2;
    options.max_batch = 3;
    options.max_faces_chunk = 4;
  }
  std::unique_ptr<Pipeline> make() { return make_cpu_pipeline(backend, pack, options); }
  std::string error_of(const std::vector<ImageView>& images) {
    try {
      (void)make()->run(images, nullptr);
    } catch (const Error& e) {
      kind = e.kind();
      return e.what();
    }
    return "no error";
  }

  std::shared_ptr<test::FakePack> pack = std::make_shared<test::FakePack>();
  test::FakeBackend backend;
  PipelineOptions options;
  ErrorKind kind = ErrorKind::kIo;
};

TEST_F(CpuPipelineTest, FindsFacesOfEachImageBestFirst) {
  const Photo a(64, 64, {{20, 12, 100}, {50, 50, 200}}), none(64, 64, {}),
      b(128, 64, {{40, 24, 50}, {41, 24, 50}, {40, 25, 50}, {41, 25, 50}});
  const std::vector<ImageView> images = {a.view(), none.view(), b.view()};
  const auto faces = make()->run(images, nullptr);
  ASSERT_EQ(faces.size(), 3u);
  ASSERT_EQ(faces[0].size(), 2u);
  EXPECT_TRUE(faces[1].empty());
  ASSERT_EQ(faces[2].size(), 1u);
  EXPECT_GT(faces[0][0].detection.score, faces[0][1].detection.score);
  const Detection& first = faces[0][0].detection;  // the spot at (50, 50): cell (6, 6)
  EXPECT_EQ(first.x1, 40.f);
  EXPECT_EQ(first.y2, 56.f);
  EXPECT_EQ(first.landmarks[0].x, 44.f);
  const Detection& scaled = faces[2][0].detection;  // drawn half as large: cell (2, 1)
  EXPECT_EQ(scaled.x1, 16.f);
  EXPECT_EQ(scaled.x2, 48.f);
}

TEST_F(CpuPipelineTest, EmbedsTheAlignedCropOfTheRightImage) {
  const Photo a(64, 64, {{20, 12, 100}}), b(64, 64, {{50, 50, 200}, {12, 40, 90}});
  const std::vector<ImageView> images = {a.view(), b.view()};
  const auto faces = make()->run(images, nullptr);
  cpu::Align align(6);
  for (size_t i = 0; i < images.size(); ++i) {
    for (const Face& face : faces[i]) {
      std::vector<float> crop(size_t(3) * 6 * 6);
      align.run(images[i], face.detection.landmarks, {127.5f, 1.f / 128},
                {crop.data(), 6, 6, PixelLayout::kNchw});
      std::map<TensorId, std::vector<float>> want;
      describe_crop(crop.data(), {3, 6, 6}, want);
      EXPECT_EQ(face.embedding, want[2]);
    }
  }
}

TEST_F(CpuPipelineTest, MoreFacesThanAChunkAreEmbeddedInTurns) {
  std::vector<Spot> spots;
  for (int i = 0; i < 9; ++i) spots.push_back({4 + 24 * (i % 3), 4 + 24 * (i / 3), 200});
  const Photo photo(64, 64, spots);
  const std::vector<ImageView> images = {photo.view()};
  const auto pipeline = make();
  const auto faces = pipeline->run(images, nullptr);
  ASSERT_EQ(faces[0].size(), 9u);
  EXPECT_EQ(backend.executables[1]->batches, (std::vector<int>{1, 4, 4, 1}));  // 1: at start
  for (const Face& face : faces[0]) EXPECT_EQ(face.embedding.size(), 8u);
  const std::vector<Face> again = pipeline->run(images, nullptr)[0];
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(again[i].embedding, faces[0][i].embedding);
  for (size_t i = 1; i < 9; ++i)  // equal scores: by row and column
    EXPECT_LT(faces[0][i - 1].detection.y1 * 64 + faces[0][i - 1].detection.x1,
              faces[0][i].detection.y1 * 64 + faces[0][i].detection.x1);
}

TEST_F(CpuPipelineTest, SeveralSizesShareOneSuppression) {
  options.det_sizes = {64, 128};
  const Photo photo(64, 64, {{20, 12, 100}});
  const std::vector<ImageView> images = {photo.view()};
  backend.detector = [](const float* input, const Shape& shape,
                        std::map<TensorId, std::vector<float>>& tensors) {
    find_red(input, shape, tensors);
    if (shape.height != 128) return;
    float* same = tensors[2].data() + (size_t(2) * 16 + 5) * 30;  // the face seen at size 64
    same[0] = 3.f;
    std::fill(same + 2, same + 6, 2.f);
    same[1] = -9.f;
    tensors[2][(size_t(12) * 16 + 12) * 30] = 2.f;  // and one that only this size sees
  };
  const auto faces = make()->run(images, nullptr);
  ASSERT_EQ(faces[0].size(), 2u);
  EXPECT_EQ(faces[0][0].detection.x1, (5 - 2) * 8 / 2.f);
  EXPECT_EQ(faces[0][1].detection.x1, (12 - 1) * 8 / 2.f);
}

TEST_F(CpuPipelineTest, WithoutARecogniserFacesCarryNoEmbedding) {
  pack->has_recogniser = false;
  const Photo photo(64, 64, {{20, 12, 100}});
  const std::vector<ImageView> images = {photo.view()};
  const auto faces = make()->run(images, nullptr);
  ASSERT_EQ(faces[0].size(), 1u);
  EXPECT_TRUE(faces[0][0].embedding.empty());
}

TEST_F(CpuPipelineTest, OddPicturesAreNoTrouble) {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{
           {1, 1}, {1, 20000}, {20000, 1}, {3, 2}, {511, 7}, {64, 65}}) {
    const Photo photo(width, height, {});
    const std::vector<ImageView> images = {photo.view()};
    EXPECT_TRUE(make()->run(images, nullptr)[0].empty()) << width << "x" << height;
  }
  EXPECT_TRUE(make()->run({}, nullptr).empty());
}

TEST_F(CpuPipelineTest, NoiseAtThresholdZeroIsBounded) {
  options.score_threshold = 0.f;
  options.nms_iou = 1.f;
  options.det_sizes = {512};
  pack->has_recogniser = false;
  const test::Picture noise(512, 512);
  const std::vector<ImageView> images = {noise.view()};
  EXPECT_EQ(make()->run(images, nullptr)[0].size(), kMaxCandidates);  // of 8192 anchors
}

TEST_F(CpuPipelineTest, NumbersThatAreNotFiniteNameNetworkAndImage) {
  const Photo a(64, 64, {{20, 12, 100}}), b(64, 64, {{50, 50, 200}});
  const std::vector<ImageView> images = {a.view(), b.view()};
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    backend.detector = [bad](const float* input, const Shape& shape,
                             std::map<TensorId, std::vector<float>>& tensors) {
      find_red(input, shape, tensors);
      float& spot = tensors[2][(size_t(6) * 8 + 6) * 30];
      if (spot > 0.f) spot = bad;
    };
    EXPECT_THAT(error_of(images), HasSubstr("detector det_test.onnx"));
    EXPECT_THAT(error_of(images), HasSubstr("image 1"));
    EXPECT_EQ(kind, ErrorKind::kInternal);
  }
  backend.detector = find_red;
  int call = 0;
  backend.recogniser = [&call](const float* input, const Shape& shape,
                               std::map<TensorId, std::vector<float>>& tensors) {
    describe_crop(input, shape, tensors);
    if (++call == 3) tensors[2][5] = std::nanf("");
  };
  const std::string text = error_of(images);
  EXPECT_THAT(text, HasSubstr("recogniser rec_test.onnx"));
  EXPECT_THAT(text, HasSubstr("image 1"));
}

TEST_F(CpuPipelineTest, ARecogniserThatAnswersNothingIsRefusedAtStart) {
  backend.recogniser = [](const float*, const Shape&,
                          std::map<TensorId, std::vector<float>>& tensors) {
    tensors[2].assign(8, 0.f);
  };
  EXPECT_THAT(error_of({}), HasSubstr("recogniser rec_test.onnx gave no finite embedding"));
}

struct OptionCase {
  const char* want;  // in the message
  void (*set)(PipelineOptions&);
};
constexpr OptionCase kBadOptions[] = {
    {"det_sizes", [](PipelineOptions& o) { o.det_sizes = {}; }},
    {"det_sizes: 100",
     [](PipelineOptions& o) {
       o.det_sizes = {64, 100};
     }},
    {"det_sizes: 0", [](PipelineOptions& o) { o.det_sizes = {0}; }},
    {"det_sizes: 8192", [](PipelineOptions& o) { o.det_sizes = {8192}; }},
    {"score_threshold", [](PipelineOptions& o) { o.score_threshold = 1.5f; }},
    {"score_threshold", [](PipelineOptions& o) { o.score_threshold = std::nanf(""); }},
    {"nms_iou", [](PipelineOptions& o) { o.nms_iou = -0.1f; }},
    {"max_batch", [](PipelineOptions& o) { o.max_batch = 0; }},
    {"max_faces_chunk", [](PipelineOptions& o) { o.max_faces_chunk = 0; }},
    {"threads", [](PipelineOptions& o) { o.threads = -1; }},
};

TEST_F(CpuPipelineTest, OptionsOutOfRangeAreNamed) {
  for (const OptionCase& c : kBadOptions) {
    const PipelineOptions good = options;
    c.set(options);
    EXPECT_THAT(error_of({}), HasSubstr(c.want));
    EXPECT_EQ(kind, ErrorKind::kInvalidArgument) << c.want;
    options = good;
  }
}

TEST_F(CpuPipelineTest, BatchesAndPicturesOutOfRangeAreNamed) {
  const Photo photo(64, 64, {});
  EXPECT_THAT(error_of(std::vector(4, photo.view())), HasSubstr("4 images, max_batch is 3"));
  EXPECT_THAT(error_of({photo.view(), {}}), HasSubstr("image 1 of the batch is empty"));
  ImageView planes = photo.view();
  planes.format = PixelFormat::kYcc420;
  EXPECT_THAT(error_of({photo.view(), planes}), HasSubstr("image 1 of the batch is not RGB"));
  pack->has_detector = false;
  EXPECT_THAT(error_of({}), HasSubstr("test.fwp: holds no detector"));
}

TEST_F(CpuPipelineTest, TimesAreOfThisRunAlone) {
  const Photo photo(64, 64, {{20, 12, 100}});
  const std::vector<ImageView> images = {photo.view()};
  StageTimes times{.preprocess = 1e9, .detect = 1e9, .decode = 1e9, .align = 1e9, .embed = 1e9};
  (void)make()->run(images, &times);
  for (double t : {times.preprocess, times.detect, times.decode, times.align, times.embed}) {
    EXPECT_GT(t, 0.);
    EXPECT_LT(t, 1e6);
  }
}

}  // namespace
}  // namespace face
