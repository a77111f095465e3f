// SPDX-License-Identifier: MIT
// The CUDA engine, on the emulator and on GPUs: networks against the interpreter, pictures to faces
// against the CPU pipeline.
#include <gmock/gmock.h>

#include <cmath>
#include <random>
#include <tuple>

#include "engine/cpu/cpu_pipeline.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/device.h"
#include "kernels/cpu/align.h"
#include "tests/cuda/every_op.h"
#include "tests/cuda/on_device.h"
#include "tests/cuda/reference_backend.h"
#include "tests/cuda/tiny_pack.h"
#include "tests/support/goldens.h"
#include "tests/support/models.h"
#include "tests/support/shared.h"

namespace face {
namespace {

using test::error_of;
using test::EveryOp;
using test::random_input;
using test::relative_l2;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

using CudaEngine = cuda::OnDevice;

TEST_F(CudaEngine, NetworksAgreeWithTheInterpreterOnEveryKindOfDevice) {
  const EveryOp net;
  constexpr int kBatch = 5;
  const std::vector<float> input = random_input(size_t(kBatch) * 3 * 24 * 20);
  test::ReferenceExecutable reference(net.network,
                                      {.max_batch = kBatch, .height = 24, .width = 20});
  reference.run(input.data(), kBatch);
  const TensorId out = net.network.outputs[0].tensor;
  for (const cuda::Generation& generation : cuda::generations())
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(generation.name);
      cuda::set_order(cuda::Order::kRandom, seed);
      cuda::become(generation);
      const bool half = generation.major >= 7;
      const auto backend = make_cuda_backend(0);
      const auto executable = backend->compile(net.network, {.max_batch = kBatch});
      EXPECT_EQ(executable->precision(), half ? Precision::kFp16 : Precision::kFp32);
      for (const int batch : {kBatch, 1, 3}) {
        executable->run(input.data(), batch);
        const auto wanted = reference.output(out).first(size_t(batch) * 10);
        EXPECT_LE(relative_l2(executable->output(out).first(size_t(batch) * 10), wanted),
                  half ? 3e-3 : 2e-6)  // relative L2; design: fp32 1e-4, fp16 5e-3
            << "batch " << batch;
      }
      const auto layers = executable->profile(input.data(), 2);
      ASSERT_EQ(layers.size(), net.network.ops.size());
      const char* own = generation.tensor_cores() ? "conv_mma"
                        : half                    ? "conv_simt_half2"
                                                  : "conv_simt";
      EXPECT_THAT(layers[0].implementation, AnyOf(own, StartsWith("cudnn")));
    }
}

TEST(CudaDevice, MultipliesPairsOfHalvesWhereThatIsTwiceAsFastAndNoTensorCoresAre) {
  for (const auto& [major, minor, half2] :
       std::initializer_list<std::tuple<int, int, bool>>{{5, 3, false},
                                                         {6, 0, true},
                                                         {6, 1, false},
                                                         {6, 2, true},
                                                         {7, 0, true},
                                                         {7, 2, true},
                                                         {7, 5, false},
                                                         {8, 0, false},
                                                         {9, 0, false},
                                                         {12, 0, false}}) {
    cuda::Device device;
    device.major = major, device.minor = minor;
    EXPECT_EQ(device.half2_products(), half2) << major << minor;
  }
}

TEST_F(CudaEngine, BothConvolutionPathsAgreeWithTheInterpreter) {
  const EveryOp net;
  constexpr int kBatch = 4;
  const std::vector<float> input = random_input(size_t(kBatch) * 3 * 24 * 20);
  test::ReferenceExecutable reference(net.network,
                                      {.max_batch = kBatch, .height = 24, .width = 20});
  reference.run(input.data(), kBatch);
  const TensorId out = net.network.outputs[0].tensor;
  for (const bool use_cudnn : {false, true}) {
    const auto backend = make_cuda_backend(0);
    const auto executable =
        backend->compile(net.network, {.max_batch = kBatch, .use_cudnn = use_cudnn});
    executable->run(input.data(), kBatch);
    EXPECT_LE(relative_l2(executable->output(out), reference.output(out)), 3e-3);
    std::printf("%s\n", executable->notes().c_str());
  }
}

/// What the interpreter makes of the face at these landmarks. Those of two devices differ in their
/// last bits, and may so lie on either side of a step of the pixels' positions, 1/32 pixel: each
/// device's embedding is held against its own landmarks.
std::vector<float> embedding_at(const Network& network, const ImageView& image,
                                const Point (&landmarks)[kLandmarks]) {
  const int side = network.input.height;
  std::vector<float> values(size_t(3) * side * side);
  cpu::Align(side).run(image, landmarks, {network.input.pixel_mean, network.input.pixel_scale},
                       {values.data(), side, side, PixelLayout::kNchw});
  test::ReferenceExecutable reference(network, {.max_batch = 1, .height = side, .width = side});
  reference.run(values.data(), 1);
  const auto embedding = reference.output(network.outputs[0].tensor);
  return {embedding.begin(), embedding.end()};
}

TEST_F(CudaEngine, TinyPipelineFindsTheFacesOfTheCpuPipeline) {
  const auto pack = test::tiny_pack();
  PipelineOptions options{.precision = Precision::kFp32,
                          .det_sizes = {64, 32},
                          .score_threshold = 0.55f,
                          .max_batch = 3,
                          .max_faces_chunk = 4};
  test::ReferenceBackend reference;
  const auto cpu = make_cpu_pipeline(reference, pack, options);
  size_t used = cuda::used_memory();
  const auto gpu = make_cuda_backend(0)->pipeline(pack, options);
  if (cuda::kExactMemory) {
    EXPECT_EQ(cuda::used_memory() - used, gpu->memory_bytes());
  }
  const Network& recogniser = pack->recogniser_net.network;
  const test::Noise a(50, 70, 1), b(64, 64, 2), c(200, 31, 3), tiny(1, 1, 4);
  for (const auto& images : std::vector<std::vector<ImageView>>{
           {a.view(), b.view(), c.view()}, {b.view()}, {tiny.view(), a.view()}, {}}) {
    const auto want = cpu->run(images, nullptr);
    StageTimes times;
    const auto found = gpu->run(images, &times);
    ASSERT_EQ(found.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(found[i].size(), want[i].size()) << "image " << i;
      for (size_t f = 0; f < want[i].size(); ++f) {
        SCOPED_TRACE("image " + std::to_string(i) + ", face " + std::to_string(f));
        EXPECT_NEAR(found[i][f].detection.x1, want[i][f].detection.x1, 1e-3);
        EXPECT_NEAR(found[i][f].detection.score, want[i][f].detection.score, 1e-5);
        for (int k = 0; k < kLandmarks; ++k) {
          EXPECT_NEAR(found[i][f].detection.landmarks[k].x, want[i][f].detection.landmarks[k].x,
                      1e-3);
          EXPECT_NEAR(found[i][f].detection.landmarks[k].y, want[i][f].detection.landmarks[k].y,
                      1e-3);
        }
        EXPECT_LE(relative_l2(found[i][f].embedding,
                              embedding_at(recogniser, images[i], found[i][f].detection.landmarks)),
                  2e-3);
      }
    }
    if (images.size() == 3) {
      EXPECT_GT(found[0].size(), 8u) << "more faces than a chunk";
      used = cuda::used_memory();
    }
  }
  EXPECT_EQ(cuda::used_memory(), used) << "constant under load";
}

TEST_F(CudaEngine, AValueThatIsNotFiniteNamesNetworkAndImage) {
  const auto pack = test::tiny_pack();
  auto& bias = pack->detector_net.arrays.back();
  bias[0] = INFINITY;
  const auto gpu = make_cuda_backend(0)->pipeline(pack, {.det_sizes = {32}, .max_batch = 2});
  const test::Noise a(32, 32, 1);
  EXPECT_THAT(error_of([&] { static_cast<void>(gpu->run(std::vector{a.view()}, nullptr)); },
                       ErrorKind::kInternal),
              HasSubstr("detector of test.fwp gave a value that is not finite for image 0"));
}

TEST_F(CudaEngine, RealWeightsGiveTheFacesOfTheCpuPipeline) {
  FACE_REQUIRE_SHARED("models/scrfd_500m_bnkps.onnx");
  FACE_REQUIRE_SHARED("images/yifei.jpg");
  const auto pack = test::convert_shared("scrfd_500m_bnkps", "arcface_mobilefacenet_y1");
  PipelineOptions options{.det_sizes = {160}, .max_batch = 2, .max_faces_chunk = 2};
  test::ReferenceBackend reference;
  const auto cpu = make_cpu_pipeline(reference, pack, options);
  const auto path = test::shared_dir() / "images/yifei.jpg";
  const Image photo = test::read_photo(path);
  const std::vector<ImageView> images{photo.view()};
  const auto want = cpu->run(images, nullptr)[0];
  ASSERT_FALSE(want.empty());
  const auto backend = make_cuda_backend(0);
  const auto gpu = backend->pipeline(pack, options);
  EXPECT_EQ(gpu->precision(), Precision::kFp16);
  test::Deviation seen;
  const auto found = gpu->run(images, nullptr)[0];
  test::compare_faces({"yifei.jpg", want}, found, test::kAgreementHalf, seen);
  EXPECT_GE(seen.faces, 1);
  EXPECT_GE(seen.cosine, 0.999f) << "fp16 against double, the same pixels";
  std::printf("faces %d, worst IoU %.4f, score %.5f, cosine %.6f\n", seen.faces, seen.iou,
              seen.score, seen.cosine);

  const Image planes = test::read_photo(path, backend->image_target());
  ASSERT_EQ(planes.view().format, PixelFormat::kYcc420);
  const auto of_planes = gpu->run(std::vector{planes.view()}, nullptr)[0];
  ASSERT_EQ(of_planes.size(), found.size());
  for (size_t f = 0; f < found.size(); ++f) {
    EXPECT_EQ(of_planes[f].detection.x1, found[f].detection.x1);
    EXPECT_EQ(of_planes[f].detection.score, found[f].detection.score);
    EXPECT_EQ(of_planes[f].embedding, found[f].embedding) << "the same pixels";
  }
}

}  // namespace
}  // namespace face
