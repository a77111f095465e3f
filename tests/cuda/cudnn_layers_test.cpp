// SPDX-License-Identifier: MIT
// The choice between cuDNN and our kernels on the emulator, with a cuDNN that the test makes up:
// what is chosen, what is kept on disk, what happens when cuDNN fails. On the emulated clock each
// of our kernels takes 1 ms.
#include "engine/cuda/cudnn_layers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/cuda/cuda_backend.h"
#include "engine/cuda/installed_cudnn.h"
#include "engine/error.h"
#include "engine/line_file.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/fake_cudnn.h"
#include "tests/cuda/random_network.h"
#include "tests/cuda/reference_backend.h"
#include "tests/support/tiny_network.h"

namespace face {
namespace {

using cuda::PlanTable;
using cuda::PlanTime;
using cuda::test::fake_cudnn;
using cuda::test::FakePlan;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

constexpr int kHeight = 12, kWidth = 10, kBatch = 2;

/// Every way that a convolution ends, 3x12x10 -> 10 numbers: PReLU; ReLU; border bias and PReLU;
/// addend and ReLU; groups; fully connected.
class ConvNet : public test::RandomNetwork {
 public:
  ConvNet() : RandomNetwork(7) {
    network.input = {.name = "in", .tensor = tensor("in", 3), .height = kHeight, .width = kWidth};
    const TensorId stem = conv(network.input.tensor, 20, 3, 2);
    prelu();
    const TensorId skip = conv(stem, 24, 3, 1);
    network.ops.back().activation = Activation::kRelu;
    const TensorId border = conv(skip, 24, 3, 1);
    network.ops.back().bias_kind = BiasKind::kBorder9;
    network.ops.back().bias = random(size_t(9) * 24, 0.5f);
    prelu();
    const TensorId sum = conv(border, 24, 1, 1);
    network.ops.back().addend = skip;
    network.ops.back().activation = Activation::kRelu;
    const TensorId grouped = conv(sum, 24, 3, 1, 4);
    end_in_fully_connected(grouped, 6 * 5);
    validate(network, "convolutions");
  }

 private:
  void prelu() {
    Op& op = network.ops.back();
    op.activation = Activation::kPrelu;
    op.slopes = random(network.tensors[op.output].channels, 0.3f);
  }
};

class CudnnLayers : public cuda::Emulated {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    cuda::emu::machine().clock = &clock_;
    fake_cudnn() = {};
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    timing_path_ = (folder_ / "model.fwp.timings").string();
    plan_path_ = timing_path_ + ".cuda";
    std::mt19937 generator(11);
    std::uniform_real_distribution<float> uniform(-1, 1);
    input_.resize(size_t(kBatch) * 3 * kHeight * kWidth);
    for (float& v : input_) v = uniform(generator);
  }
  void TearDown() override {
    cuda::cudnn::emulated_library() = nullptr;
    EXPECT_THAT(fake_cudnn().misuse, IsEmpty());
    EXPECT_EQ(fake_cudnn().live_descriptors, 0);
    EXPECT_EQ(fake_cudnn().live_handles, 0);
    std::filesystem::remove_all(folder_);
    OnDevice::TearDown();
  }

  std::unique_ptr<Executable> compile(const std::vector<FakePlan>& plans,
                                      const CompileOptions& options = {.max_batch = kBatch}) {
    fake_cudnn().plans = plans;
    cuda::cudnn::emulated_library() = cuda::test::fake_library();
    fake_cudnn().heuristics = fake_cudnn().executions = 0;
    return make_cuda_backend(0)->compile(net_.network, options);
  }
  [[nodiscard]] CompileOptions with_file() const {
    return {.max_batch = kBatch, .timing_path = timing_path_};
  }

  /// Implementation of each op; the run's numbers are those of the interpreter.
  Names check(Executable& executable) {
    test::ReferenceExecutable reference(net_.network,
                                        {.max_batch = kBatch, .height = kHeight, .width = kWidth});
    const TensorId out = net_.network.outputs[0].tensor;
    for (const int batch : {2, 1}) {
      reference.run(input_.data(), batch);
      executable.run(input_.data(), batch);
      const auto wanted = reference.output(out), found = executable.output(out);
      double error = 0, norm = 0;
      for (int i = 0; i < batch * 10; ++i) {
        error += std::pow(found[i] - wanted[i], 2);
        norm += std::pow(wanted[i], 2);
      }
      EXPECT_LE(std::sqrt(error / norm), 3e-3) << "batch " << batch;
    }
    Names names;
    for (const LayerProfile& layer : executable.profile(input_.data(), kBatch))
      names.push_back(layer.implementation);
    return names;
  }

  const ConvNet net_;
  double clock_ = 0;
  std::vector<float> input_;
  std::filesystem::path folder_;
  std::string timing_path_, plan_path_;
};

const char kOwn[] = "conv_mma", kEng41[] = "cudnn:eng41";
const Names kAllOwn = {kOwn, kOwn, kOwn, kOwn, "conv_simt", kOwn};
// Own kernels stay where the finish of PReLU or a border bias takes a second launch of 1 ms.
const Names kFused = {kOwn, kEng41, kOwn, kEng41, "conv_simt", kEng41};

TEST_F(CudnnLayers, TakesPlansThatAreFasterAndGivesTheSameNumbers) {
  const auto executable = compile({{.milliseconds = 0.5}});
  EXPECT_EQ(check(*executable), kFused);
  EXPECT_EQ(executable->notes(), "cuDNN 9.19.0: 3 of 5 convolutions");
}

TEST_F(CudnnLayers, FinishesWhatNoEngineCan) {
  cuda::emu::machine().multiprocessors = 1'000;  // our kernels split: two launches
  const auto executable = compile({{.milliseconds = 1e-3}});
  const Names names = check(*executable);
  fake_cudnn().plans.clear();
  for (const size_t fused : {1, 3, 5}) EXPECT_EQ(names[fused], kEng41) << fused;
}

TEST_F(CudnnLayers, KeepsOurKernelsWithin3Percent) {
  Names names = check(*compile({{.milliseconds = 0.98}}));
  EXPECT_EQ(names.back(), kEng41) << "ours is split: 2 ms";
  names.back() = kOwn;
  EXPECT_EQ(names, kAllOwn);
  EXPECT_EQ(check(*compile({{.milliseconds = 30}})), kAllOwn);
}

TEST_F(CudnnLayers, TakesTheFastestOfPlansThatRunAndAreRight) {
  const std::vector<FakePlan> plans = {{.engine = 40, .milliseconds = 0.7},
                                       {.engine = 41, .workspace = 100, .milliseconds = 0.5},
                                       {.engine = 42, .milliseconds = 0.2, .scale = 1.02f},
                                       {.engine = 43, .milliseconds = 0.1, .builds = false},
                                       {.engine = 44, .milliseconds = 0.1, .runs = false}};
  EXPECT_EQ(check(*compile(plans)), kFused);
}

TEST_F(CudnnLayers, LeavesOutPlansThatAreNotWanted) {
  EXPECT_EQ(check(*compile({{.engine = 1, .workspace = size_t{33} << 20},
                            {.engine = 2, .behavior_note = cuda::cudnn::kRuntimeCompilation},
                            {.engine = 3, .numerical_note = cuda::cudnn::kNondeterministic},
                            {.engine = 4, .numerical_note = cuda::cudnn::kReducedPrecision},
                            {.engine = 5, .numerical_note = cuda::cudnn::kWinograd}})),
            kAllOwn);
  EXPECT_EQ(fake_cudnn().executions, 0);
}

TEST_F(CudnnLayers, TurnedOffOrAbsentOrInFloatsNothingIsAskedOfIt) {
  const auto off = compile({{}}, {.max_batch = kBatch, .use_cudnn = false});
  EXPECT_EQ(off->notes(), "cuDNN is turned off");
  EXPECT_EQ(check(*off), kAllOwn);
  const auto floats = compile({{}}, {.precision = Precision::kFp32, .max_batch = kBatch});
  EXPECT_EQ(floats->notes(), "cuDNN is not used in fp32");
  EXPECT_EQ(fake_cudnn().heuristics, 0);
  cuda::cudnn::emulated_library() = nullptr;
  const auto absent = make_cuda_backend(0)->compile(net_.network, {.max_batch = kBatch});
  EXPECT_EQ(absent->notes(), "cuDNN is not installed");
  EXPECT_EQ(check(*absent), kAllOwn);
}

TEST_F(CudnnLayers, ThatDoesNotStartIsSaidAndDoneWithout) {
  fake_cudnn().starts = false;
  const auto executable = compile({{}});
  EXPECT_EQ(executable->notes(),
            "cuDNN is not used: cuDNN 9.19.0: cudnnCreate: NOT_SUPPORTED, as the test wants; "
            "--no-cudnn runs without it");
  EXPECT_EQ(check(*executable), kAllOwn);
}

TEST_F(CudnnLayers, MemoryIsAllocatedAtStartCountedAndGivenBack) {
  const size_t before = cuda::emu::allocated();
  {
    const auto executable = compile({{.workspace = 1'000, .milliseconds = 0.5}});
    EXPECT_EQ(cuda::emu::allocated() - before,
              executable->activation_bytes() + executable->weight_bytes());
    check(*executable);
    EXPECT_EQ(cuda::emu::allocated() - before,
              executable->activation_bytes() + executable->weight_bytes());
  }
  EXPECT_EQ(cuda::emu::allocated(), before);
}

TEST_F(CudnnLayers, TheSecondStartTakesWhatTheFirstMeasured) {
  check(*compile({{.milliseconds = 0.5}}, with_file()));
  ASSERT_TRUE(std::filesystem::exists(plan_path_));
  // Now our kernels would win, but nobody measures.
  const auto executable = compile({{.milliseconds = 5}}, with_file());
  EXPECT_EQ(fake_cudnn().heuristics, 0);
  EXPECT_EQ(fake_cudnn().executions, 3 * kBatch * 2) << "each plan once, then into a graph";
  EXPECT_EQ(check(*executable), kFused);
}

TEST_F(CudnnLayers, AnythingElseThanTheSameMachineMeasuresAnew) {
  const auto measured = [&] {
    static_cast<void>(compile({{.milliseconds = 0.5}}, with_file()));
    return fake_cudnn().heuristics > 0;
  };
  EXPECT_TRUE(measured());
  EXPECT_FALSE(measured());
  fake_cudnn().version = 92000;
  EXPECT_TRUE(measured());
  cuda::emu::machine().multiprocessors += 1;
  EXPECT_TRUE(measured());
  cuda::emu::machine().minor += 1;
  EXPECT_TRUE(measured());
  EXPECT_FALSE(measured());
}

TEST_F(CudnnLayers, APlanThatIsNoLongerBuiltIsChosenAnew) {
  static_cast<void>(compile({{.engine = 40, .milliseconds = 0.5}}, with_file()));
  EXPECT_EQ(check(*compile({{.milliseconds = 0.5}}, with_file())), kFused);
  EXPECT_GT(fake_cudnn().heuristics, 0);
  EXPECT_EQ(check(*compile({{.milliseconds = 0.5}}, with_file())), kFused);
  EXPECT_EQ(fake_cudnn().heuristics, 0) << "the file was written again";
}

TEST_F(CudnnLayers, ADamagedFileIsMeasuredAnewWhereItIsDamaged) {
  static_cast<void>(compile({{.milliseconds = 0.5}}, with_file()));
  std::ifstream in(plan_path_);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const int all = 5 * kBatch;  // convolutions x buckets
  for (const auto& [damage, problems] :
       {std::pair{whole.substr(0, whole.size() - 3), 1}, std::pair{"x" + whole, all},
        std::pair{std::string("\n\0\t\xff", 4), all}, std::pair{std::string(), all}}) {
    std::ofstream(plan_path_, std::ios::binary) << damage;
    EXPECT_EQ(check(*compile({{.milliseconds = 0.5}}, with_file())), kFused);
    EXPECT_EQ(fake_cudnn().heuristics, problems);
  }
}

TEST_F(CudnnLayers, AFolderThatCannotBeWrittenIsNoError) {
  EXPECT_EQ(check(*compile({{.milliseconds = 0.5}},
                           {.max_batch = kBatch, .timing_path = "/nowhere/model.timings"})),
            kFused);
}

TEST_F(CudnnLayers, AFaultOfTheDeviceIsNotHidden) {
  cuda::emu::inject("cudnnBackendExecute", 1, cudaErrorIllegalAddress, true);
  try {
    static_cast<void>(compile({{.milliseconds = 0.5}}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kDeviceLost);
  }
}

// ---- the rule and the file ----

TEST(PlanChoice, PlansWorthTakingAreMoreThan3PercentFaster) {
  const std::vector<PlanTime> plans = {{"a", 0.9}, {"b", 0.98}, {"c", 0.5}, {"d", INFINITY}};
  EXPECT_THAT(cuda::plans_worth_taking(1.0, plans), ElementsAre(2, 0));
  EXPECT_THAT(cuda::plans_worth_taking(0.5, plans), IsEmpty());
  EXPECT_THAT(cuda::plans_worth_taking(1.0, {{"nan", NAN}}), IsEmpty());
}

TEST(PlanChoice, MachineNamesAllThatTimesDependOn) {
  const cuda::Device device{.name = "GPU",
                            .major = 9,
                            .minor = 0,
                            .multiprocessors = 132,
                            .driver = 13010,
                            .runtime = 13000};
  EXPECT_THAT(cuda::plan_machine(device, "9.19.0"),
              HasSubstr("GPU; sm_90; 132 multiprocessors; driver 13010; runtime 13000; "
                        "cuDNN 9.19.0; kernels "));
}

TEST(PlanChoice, TableSurvivesItsFileAndBadFieldsDoNot) {
  const std::string path = testing::TempDir() + "plans";
  const PlanTable table = {{"conv+bias a", {"eng41:k2=20", 1.5, 0.25}}, {"conv b", {"", 0.5, 0}}};
  ASSERT_TRUE(cuda::write_plans(path, "machine", table));
  const PlanTable read = cuda::read_plans(path, "machine");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read.at("conv+bias a").plan, "eng41:k2=20");
  EXPECT_EQ(read.at("conv+bias a").own_ms, 1.5);
  EXPECT_EQ(read.at("conv b").plan, "");
  LineTable lines = read_lines(path, "face-worker cuDNN plans 1", "machine");
  lines["bad"] = {"eng41", "1"};
  lines["worse"] = {"eng41", "x", "1"};
  ASSERT_TRUE(write_lines(path, "face-worker cuDNN plans 1", "machine", lines));
  EXPECT_EQ(cuda::read_plans(path, "machine").size(), 2u);
  EXPECT_THAT(cuda::read_plans(path, "other"), IsEmpty());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace face
