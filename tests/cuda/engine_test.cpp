// SPDX-License-Identifier: MIT
// The CUDA engine on the emulator: networks against the interpreter, pictures to faces against the
// CPU pipeline, memory, errors.
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "engine/cpu/cpu_pipeline.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/error.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/reference_backend.h"
#include "tests/engine/fake_backend.h"
#include "tests/support/goldens.h"
#include "tests/support/models.h"
#include "tests/support/shared.h"

namespace face {
namespace {

using testing::HasSubstr;

/// Every kind of operation the executor knows, 3x24x20 -> 10 numbers.
class EveryOp : public test::OwnedNetwork {
 public:
  EveryOp() {
    network.role = NetworkRole::kRecogniser;
    network.input = {.name = "in", .tensor = tensor("in", 3), .height = 24, .width = 20};
    TensorId x = conv(network.input.tensor, 28, 3, 2);
    network.ops.back().activation = Activation::kPrelu;
    network.ops.back().slopes = random(28, 0.3f);
    const TensorId skip = conv(x, 28, 3, 1);
    network.ops.back().bias_kind = BiasKind::kBorder9;
    network.ops.back().bias = random(9 * 28, 0.5f);
    x = conv(skip, 28, 3, 1, 28);
    network.ops.back().activation = Activation::kClip;
    network.ops.back().clip_low = -0.5f, network.ops.back().clip_high = 0.75f;
    x = conv(x, 28, 1, 1);
    network.ops.back().addend = skip;
    network.ops.back().activation = Activation::kRelu;
    const TensorId fine = conv(x, 24, 1, 1);
    x = pool(OpKind::kMaxPool, fine);
    x = conv(x, 24, 3, 1, 4);
    const TensorId up = conv(fine, 24, 3, 1);
    network.ops.back().addend = x;
    network.ops.back().addend_upsampled = true;
    TensorId y = simple(OpKind::kUpsample2x, pool(OpKind::kAveragePool, up));
    y = simple(OpKind::kAdd, y, up);
    y = simple(OpKind::kAffine, y);
    network.ops.back().weights = random(24, 1.f);
    network.ops.back().bias_kind = BiasKind::kPerChannel;
    network.ops.back().bias = random(24, 1.f);
    y = simple(OpKind::kActivation, y);
    network.ops.back().activation = Activation::kSigmoid;
    Op fc;
    fc.kind = OpKind::kFullyConnected;
    fc.name = "fc";
    fc.input = y;
    fc.output = tensor("fc", 10);
    fc.weights = random(size_t(10) * 24 * 12 * 10, 0.05f);
    network.ops.push_back(fc);
    network.outputs = {{"embedding", fc.output, 0, 10, 10, false, true}};
    network.embedding_size = 10;
    validate(network, "every op");
  }

  std::span<const float> random(size_t count, float scale) {
    std::uniform_real_distribution<float> uniform(-scale, scale);
    auto& values = arrays.emplace_back(count);
    for (float& v : values) v = uniform(generator_);
    return values;
  }

 private:
  TensorId conv(TensorId in, int out, int kernel, int stride, int groups = 1) {
    Op op;
    op.name = "conv" + std::to_string(network.ops.size());
    op.input = in;
    op.output = tensor(op.name.c_str(), out);
    op.groups = groups;
    op.kernel_h = op.kernel_w = kernel;
    op.stride_h = op.stride_w = stride;
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = kernel / 2;
    const int depth = network.tensors[in].channels / groups * kernel * kernel;
    op.weights = random(size_t(out) * depth, 1.5f / std::sqrt(static_cast<float>(depth)));
    op.bias_kind = BiasKind::kPerChannel;
    op.bias = random(out, 0.5f);
    network.ops.push_back(op);
    return op.output;
  }
  TensorId pool(OpKind kind, TensorId in) {
    const TensorId out = simple(kind, in);
    Op& op = network.ops.back();
    op.kernel_h = op.kernel_w = op.stride_h = op.stride_w = 2;
    return out;
  }
  TensorId simple(OpKind kind, TensorId in, TensorId addend = kNoTensor) {
    Op op;
    op.kind = kind;
    op.name = "op" + std::to_string(network.ops.size());
    op.input = in;
    op.addend = addend;
    op.output = tensor(op.name.c_str(), network.tensors[in].channels);
    network.ops.push_back(op);
    return op.output;
  }
  std::mt19937 generator_{5};
};

std::vector<float> random_input(size_t count) {
  std::mt19937 generator(11);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float& v : values) v = uniform(generator);
  return values;
}

double relative_l2(std::span<const float> found, std::span<const float> wanted) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    error += (double(found[i]) - wanted[i]) * (double(found[i]) - wanted[i]);
    norm += double(wanted[i]) * wanted[i];
  }
  return std::sqrt(error / norm);
}

class CudaEngine : public cuda::Emulated {
 protected:
  /// Text of the Error that `action` throws, after checking its kind.
  template <typename Action>
  static std::string error_of(Action action, ErrorKind kind) {
    try {
      action();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }
};

struct MachineCase {
  const char* name;
  int major, minor, max_shared;
  Precision precision;
  double tolerance;  // relative L2; design: fp32 1e-4, fp16 5e-3
};

TEST_F(CudaEngine, NetworksAgreeWithTheInterpreterOnEveryKindOfDevice) {
  const EveryOp net;
  constexpr int kBatch = 5;
  const std::vector<float> input = random_input(size_t(kBatch) * 3 * 24 * 20);
  test::ReferenceExecutable reference(net.network,
                                      {.max_batch = kBatch, .height = 24, .width = 20});
  reference.run(input.data(), kBatch);
  const TensorId out = net.network.outputs[0].tensor;
  for (const MachineCase& m : {MachineCase{"sm_61", 6, 1, 48 << 10, Precision::kFp32, 2e-6},
                               MachineCase{"sm_70", 7, 0, 96 << 10, Precision::kFp16, 3e-3},
                               MachineCase{"sm_75", 7, 5, 64 << 10, Precision::kFp16, 3e-3},
                               MachineCase{"sm_90", 9, 0, 227 << 10, Precision::kFp16, 3e-3}})
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(m.name);
      cuda::emu::config().order = cuda::emu::Order::kRandom;
      cuda::emu::config().seed = seed;
      cuda::emu::machine().major = m.major;
      cuda::emu::machine().minor = m.minor;
      cuda::emu::machine().max_shared = m.max_shared;
      const auto backend = make_cuda_backend(0);
      const auto executable = backend->compile(net.network, {.max_batch = kBatch});
      EXPECT_EQ(executable->precision(), m.precision);
      for (const int batch : {kBatch, 1, 3}) {
        executable->run(input.data(), batch);
        const auto wanted = reference.output(out).first(size_t(batch) * 10);
        EXPECT_LE(relative_l2(executable->output(out).first(size_t(batch) * 10), wanted),
                  m.tolerance)
            << "batch " << batch;
      }
      const auto layers = executable->profile(input.data(), 2);
      ASSERT_EQ(layers.size(), net.network.ops.size());
      EXPECT_EQ(layers[0].implementation, m.major * 10 + m.minor >= 75 ? "conv_mma" : "conv_simt");
    }
}

TEST_F(CudaEngine, MemoryIsAllocatedAtStartAndGivenBack) {
  const EveryOp net;
  const size_t before = cuda::emu::allocated();
  {
    const auto backend = make_cuda_backend(0);
    const auto executable = backend->compile(net.network, {.max_batch = 4});
    const size_t started = cuda::emu::allocated();
    EXPECT_EQ(started - before, executable->activation_bytes() + executable->weight_bytes());
    const std::vector<float> input = random_input(size_t(4) * 3 * 24 * 20);
    for (const int batch : {1, 4, 2, 3}) executable->run(input.data(), batch);
    EXPECT_EQ(cuda::emu::allocated(), started);
  }
  EXPECT_EQ(cuda::emu::allocated(), before);
}

TEST_F(CudaEngine, StartWithoutDriverOrGpuNamesDriverToolkitAndRemedy) {
  const auto start = [](int index) {
    return error_of([&] { static_cast<void>(make_cuda_backend(index)); }, ErrorKind::kDevice);
  };
  cuda::emu::machine().driver = cudaErrorInsufficientDriver;
  EXPECT_THAT(start(0), HasSubstr("cuda:0: no usable GPU (cudaErrorInsufficientDriver); no NVIDIA "
                                  "driver, this program is built with CUDA 13.0; install"));
  cuda::emu::machine().driver = cudaSuccess;
  EXPECT_THAT(start(3), HasSubstr("cuda:3: this machine has 1 GPU(s); the NVIDIA driver supports "
                                  "CUDA 13.0"));
  cuda::emu::machine().devices = 0;
  EXPECT_THAT(start(0), HasSubstr("--device cpu"));
}

TEST_F(CudaEngine, OutOfMemoryAndWeightsBeyondFp16AreNamed) {
  EveryOp net;
  const auto backend = make_cuda_backend(0);
  cuda::emu::machine().memory = 100'000;
  EXPECT_THAT(error_of([&] { static_cast<void>(backend->compile(net.network, {.max_batch = 64})); },
                       ErrorKind::kDevice),
              HasSubstr("cudaErrorMemoryAllocation, cudaErrorMemoryAllocation; lower the batch"));
  cuda::emu::machine().memory = size_t{8} << 30;
  net.arrays.front()[0] = 1.f;
  std::vector<float> huge(net.network.ops[0].weights.begin(), net.network.ops[0].weights.end());
  huge[7] = 7e4f;
  net.network.ops[0].weights = huge;
  EXPECT_THAT(
      error_of([&] { static_cast<void>(backend->compile(net.network, {})); }, ErrorKind::kBadModel),
      HasSubstr("op 'conv0': weight 70000.000000 is no finite fp16 number"));
  EXPECT_NO_THROW(
      static_cast<void>(backend->compile(net.network, {.precision = Precision::kFp32})));
  EXPECT_THAT(
      error_of(
          [&] {
            static_cast<void>(backend->compile(net.network, {.precision = Precision::kBf16}));
          },
          ErrorKind::kInvalidArgument),
      HasSubstr("bf16"));
}

TEST_F(CudaEngine, AStickyFaultIsADeviceLost) {
  const EveryOp net;
  const auto backend = make_cuda_backend(0);
  const auto executable = backend->compile(net.network, {.max_batch = 2});
  const std::vector<float> input = random_input(size_t(2) * 3 * 24 * 20);
  cuda::emu::inject("cudaStreamSynchronize", 1, cudaErrorIllegalAddress, true);
  EXPECT_THAT(error_of([&] { executable->run(input.data(), 2); }, ErrorKind::kDeviceLost),
              HasSubstr("restart the process"));
  error_of([&] { executable->run(input.data(), 1); }, ErrorKind::kDeviceLost);
}

/// Detector and recogniser of small random weights.
std::shared_ptr<test::FakePack> tiny_pack() {
  auto pack = std::make_shared<test::FakePack>();
  test::fill_detector(pack->detector_net);
  test::fill_recogniser(pack->recogniser_net);
  std::mt19937 generator(3);
  for (auto* net : {&pack->detector_net, &pack->recogniser_net})
    for (auto& array : net->arrays) {
      std::uniform_real_distribution<float> uniform(-0.5f, 0.5f);
      for (float& v : array) v = uniform(generator);
    }
  return pack;
}

class Photo {
 public:
  Photo(int width, int height, uint32_t seed) : width_(width), height_(height) {
    std::mt19937 generator(seed);
    for (int i = 0; i < width * height * 3; ++i)
      pixels_.push_back(static_cast<uint8_t>(generator()));
  }
  [[nodiscard]] ImageView view() const {
    return {pixels_.data(), width_, height_, size_t(width_) * 3};
  }

 private:
  int width_, height_;
  std::vector<uint8_t> pixels_;
};

TEST_F(CudaEngine, TinyPipelineFindsTheFacesOfTheCpuPipeline) {
  const auto pack = tiny_pack();
  PipelineOptions options{.precision = Precision::kFp32,
                          .det_sizes = {64, 32},
                          .score_threshold = 0.55f,
                          .max_batch = 3,
                          .max_faces_chunk = 4};
  test::ReferenceBackend reference;
  const auto cpu = make_cpu_pipeline(reference, pack, options);
  const size_t before = cuda::emu::allocated();
  const auto gpu = make_cuda_backend(0)->pipeline(pack, options);
  EXPECT_EQ(cuda::emu::allocated() - before, gpu->memory_bytes());
  const Photo a(50, 70, 1), b(64, 64, 2), c(200, 31, 3), tiny(1, 1, 4);
  for (const auto& images : std::vector<std::vector<ImageView>>{
           {a.view(), b.view(), c.view()}, {b.view()}, {tiny.view(), a.view()}, {}}) {
    const auto want = cpu->run(images, nullptr);
    StageTimes times;
    const auto found = gpu->run(images, &times);
    ASSERT_EQ(found.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(found[i].size(), want[i].size()) << "image " << i;
      for (size_t f = 0; f < want[i].size(); ++f) {
        EXPECT_NEAR(found[i][f].detection.x1, want[i][f].detection.x1, 1e-3);
        EXPECT_NEAR(found[i][f].detection.score, want[i][f].detection.score, 1e-5);
        EXPECT_LE(relative_l2(found[i][f].embedding, want[i][f].embedding), 2e-3);
      }
    }
    if (images.size() == 3) {
      EXPECT_GT(found[0].size(), 8u) << "more faces than a chunk";
    }
  }
  EXPECT_EQ(cuda::emu::allocated() - before, gpu->memory_bytes()) << "constant under load";
}

TEST_F(CudaEngine, AValueThatIsNotFiniteNamesNetworkAndImage) {
  const auto pack = tiny_pack();
  auto& bias = pack->detector_net.arrays.back();
  bias[0] = INFINITY;
  const auto gpu = make_cuda_backend(0)->pipeline(pack, {.det_sizes = {32}, .max_batch = 2});
  const Photo a(32, 32, 1);
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
  const Image photo = test::read_photo(test::shared_dir() / "images/yifei.jpg");
  const std::vector<ImageView> images{photo.view()};
  const auto want = cpu->run(images, nullptr)[0];
  ASSERT_FALSE(want.empty());
  const auto gpu = make_cuda_backend(0)->pipeline(pack, options);
  EXPECT_EQ(gpu->precision(), Precision::kFp16);
  test::Deviation seen;
  test::compare_faces({"yifei.jpg", want}, gpu->run(images, nullptr)[0], test::kAgreementHalf,
                      seen);
  EXPECT_GE(seen.faces, 1);
  EXPECT_GE(seen.cosine, 0.999f) << "fp16 against double, the same pixels";
  std::printf("faces %d, worst IoU %.4f, score %.5f, cosine %.6f\n", seen.faces, seen.iou,
              seen.score, seen.cosine);
}

}  // namespace
}  // namespace face
