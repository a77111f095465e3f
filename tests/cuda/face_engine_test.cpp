// SPDX-License-Identifier: MIT
// FaceEngine on emulated GPUs: several pipelines on one device or several, shared weights, what
// happens when a device is lost.
#include "engine/face_engine.h"

#include <gmock/gmock.h>

#include <future>

#include "engine/error.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/tiny_pack.h"

namespace face {
namespace {

using testing::HasSubstr;

class EmulatedFaceEngine : public cuda::Emulated {
 protected:
  static EngineOptions options(const std::string& device, int instances) {
    EngineOptions o;
    o.device = parse_device(device);
    o.instances = instances;
    o.pipeline.det_sizes = {64, 32};
    o.pipeline.score_threshold = 0.55f;
    o.pipeline.max_batch = 2;
    o.pipeline.max_faces_chunk = 4;
    return o;
  }
  static void expect_equal(const std::vector<std::vector<Face>>& found,
                           const std::vector<std::vector<Face>>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(found[i].size(), wanted[i].size()) << "image " << i;
      for (size_t f = 0; f < wanted[i].size(); ++f) {
        const Detection &a = found[i][f].detection, &b = wanted[i][f].detection;
        EXPECT_EQ(a.x1, b.x1);
        EXPECT_EQ(a.score, b.score);
        EXPECT_EQ(a.landmarks[4].y, b.landmarks[4].y);
        EXPECT_EQ(found[i][f].embedding, wanted[i][f].embedding);
      }
    }
  }
};

TEST_F(EmulatedFaceEngine, TwinsShareWeightsAndAnswerAlike) {
  const auto pack = test::tiny_pack();
  const test::Noise a(50, 70, 1), b(200, 31, 2);
  const std::vector<ImageView> images{a.view(), b.view()};
  const size_t before = cuda::emu::allocated();
  const auto one = make_backend({DeviceKind::kGpu})->pipeline(pack, options("cuda", 1).pipeline);
  const size_t alone = one->memory_bytes();
  EXPECT_EQ(cuda::emu::allocated() - before, alone);
  const auto wanted = one->run(images, nullptr);
  ASSERT_FALSE(wanted[0].empty());

  auto twin = one->twin();
  ASSERT_NE(twin, nullptr);
  EXPECT_EQ(cuda::emu::allocated() - before, alone + twin->memory_bytes());
  EXPECT_LT(twin->memory_bytes(), alone) << "it has no weights";
  EXPECT_EQ(twin->precision(), one->precision());
  expect_equal(twin->run(images, nullptr), wanted);
  expect_equal(one->run(images, nullptr), wanted);
  twin.reset();
  EXPECT_EQ(cuda::emu::allocated() - before, alone);
  expect_equal(one->run(images, nullptr), wanted);
}

TEST_F(EmulatedFaceEngine, ATwinOutlivesItsFirst) {
  const test::Noise a(50, 70, 1);
  const std::vector<ImageView> images{a.view()};
  auto one =
      make_backend({DeviceKind::kGpu})->pipeline(test::tiny_pack(), options("cuda", 1).pipeline);
  const auto wanted = one->run(images, nullptr);
  const auto twin = one->twin();
  one.reset();
  expect_equal(twin->run(images, nullptr), wanted);
}

TEST_F(EmulatedFaceEngine, AllDevicesAnswerFromAnyThread) {
  cuda::emu::machine().devices = 2;
  cuda::emu::config().order = cuda::emu::Order::kRandom;
  const auto all = options("cuda:all", 2);
  EXPECT_EQ(runs_at_once(all), 4);
  FaceEngine engine(test::tiny_pack(), all);
  EXPECT_EQ(engine.pipelines().size(), 4);
  EXPECT_EQ(engine.device().name, "2 x emulated GPU");
  EXPECT_TRUE(engine.device().is_cuda);
  EXPECT_EQ(cuda::emu::allocated(), engine.pipelines().memory_bytes());
  std::vector<test::Noise> pictures;
  for (uint32_t i = 0; i < 4; ++i) pictures.emplace_back(40 + 8 * int(i), 50, i);
  std::vector<std::vector<std::vector<Face>>> wanted;
  for (const test::Noise& picture : pictures)
    wanted.push_back(engine.run(std::vector{picture.view()}));
  std::vector<std::future<void>> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.push_back(std::async(std::launch::async, [&, t] {
      for (size_t n = 0; n < 3; ++n) {
        const size_t i = (n + t) % pictures.size();
        expect_equal(engine.run(std::vector{pictures[i].view()}), wanted[i]);
      }
    }));
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(cuda::emu::allocated(), engine.pipelines().memory_bytes()) << "constant under load";
}

TEST_F(EmulatedFaceEngine, ACrowdCostsTimeNotMemory) {
  EngineOptions crowd = options("cuda", 1);
  crowd.pipeline.det_sizes = {160};
  crowd.pipeline.score_threshold = 0.f;
  crowd.pipeline.nms_iou = 1.f;  // every anchor is a face
  const test::Noise a(160, 160, 1), b(30, 30, 2);
  const std::vector<ImageView> images{b.view(), a.view()};
  std::vector<std::vector<Face>> wanted;
  for (const int chunk : {64, 7}) {
    crowd.pipeline.max_faces_chunk = chunk;
    FaceEngine engine(test::tiny_pack(), crowd);
    const size_t memory = engine.pipelines().memory_bytes();
    const auto found = engine.run(images);
    EXPECT_EQ(cuda::emu::allocated(), memory);
    ASSERT_EQ(found[1].size(), 800u);
    if (wanted.empty()) wanted = found;
    for (size_t i = 0; i < 2; ++i)
      for (size_t f = 0; f < found[i].size(); ++f) {
        EXPECT_EQ(found[i][f].detection.x1, wanted[i][f].detection.x1);
        ASSERT_EQ(found[i][f].embedding.size(), 8u);
        for (size_t v = 0; v < 8; ++v)
          EXPECT_NEAR(found[i][f].embedding[v], wanted[i][f].embedding[v], 1e-2)
              << "chunk " << chunk << " face " << f;
      }
  }
}

TEST_F(EmulatedFaceEngine, PicturesAreDecodedForTheDevice) {
  const FaceEngine engine(test::tiny_pack(), options("cuda", 1));
  const ImageTarget target = engine.image_target();
  EXPECT_TRUE(target.planes);
  ASSERT_NE(target.memory, nullptr);
  uint8_t* pixels = target.memory->allocate(100);
  cudaPointerAttributes attributes{};
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, pixels), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  target.memory->free(pixels);
  EXPECT_FALSE(make_backend({DeviceKind::kCpu})->image_target().planes);
  EXPECT_EQ(make_backend({DeviceKind::kCpu})->image_target().memory, nullptr);
}

TEST_F(EmulatedFaceEngine, WhichDevicesAWordMeans) {
  EXPECT_EQ(runs_at_once(options("cpu", 3)), 1);
  EXPECT_EQ(runs_at_once(options("cuda", 3)), 3);
  EXPECT_EQ(runs_at_once(options("auto", 3)), 3);
  cuda::emu::machine().devices = 3;
  EXPECT_EQ(make_backends(parse_device("cuda:all")).size(), 3u);
  EXPECT_EQ(make_backends(parse_device("cuda")).size(), 1u);
  EXPECT_EQ(make_backends(parse_device("cuda:2")).size(), 1u);
  EXPECT_EQ(runs_at_once(options("cuda:1", 2)), 2);
  cuda::emu::machine().devices = 0;
  EXPECT_EQ(runs_at_once(options("auto", 3)), 1);
  EXPECT_FALSE(make_backends(parse_device("auto")).front()->info().is_cuda);
  const auto error_of = [](const auto& make) -> std::string {
    try {
      static_cast<void>(make(parse_device("cuda:all")));
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  EXPECT_THAT(error_of(make_backends), HasSubstr("cuda:0: no usable GPU"));
  EXPECT_THAT(error_of(make_backend), HasSubstr("cuda:all\": only one"));
}

TEST_F(EmulatedFaceEngine, ALostDeviceIsLostForEveryInstance) {
  FaceEngine engine(test::tiny_pack(), options("cuda", 2));
  const test::Noise a(50, 70, 1);
  cuda::emu::inject("cudaGraphLaunch", 1, cudaErrorIllegalAddress, /*sticky=*/true);
  for (int i = 0; i < 3; ++i) {
    try {
      static_cast<void>(engine.run(std::vector{a.view()}));
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kDeviceLost) << e.what();
      EXPECT_THAT(e.what(), HasSubstr("restart the process"));
    }
  }
}

}  // namespace
}  // namespace face
