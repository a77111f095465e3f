// SPDX-License-Identifier: MIT
// cuDNN's plans, built but not run: for the convolutions of every network family, on every GPU that
// a description exists of. Needs cuDNN installed (FACE_CUDNN names another place), no GPU.
// By default the smallest and the largest batch; FACE_CUDNN_ALL=1 takes every batch bucket.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

#include "engine/cuda/cudnn_graph.h"
#include "engine/cuda/device_network.h"
#include "engine/cuda/op_params.h"
#include "engine/error.h"
#include "tests/support/shared.h"
#include "weights_tool/converter.h"
#include "weights_tool/synth/models.h"

namespace face::cuda {
namespace {

using cudnn::Graph;
using cudnn::Library;
using cudnn::Plan;
using cudnn::Problem;
using testing::HasSubstr;

constexpr size_t kPlans = 8, kWorkspace = size_t{32} << 20;

struct Family {
  const char* name;
  onnx::Graph (*build)(const std::string& file, uint64_t seed);
  int size, max_batch;
};
constexpr Family kFamilies[] = {{"SCRFD-10G", synth::scrfd_10g, 640, 32},
                                {"SCRFD-2.5G", synth::scrfd_2_5g, 640, 32},
                                {"SCRFD-500M", synth::scrfd_500m, 640, 32},
                                {"IResNet-50", synth::iresnet50, 112, 128},
                                {"MobileFaceNet", synth::mobilefacenet, 112, 128}};

/// cuDNN, or null after a skip that says why.
std::shared_ptr<const Library> library() {
  static const std::shared_ptr<const Library> found = Library::find();
  return found;
}

#define REQUIRE_CUDNN()     \
  if (library() == nullptr) \
  GTEST_SKIP() << "cuDNN (cuda) is not installed: FACE_CUDNN=path names it"

Problem a_problem() {
  Problem p;
  p.batch = 8;
  p.in_h = p.in_w = p.out_h = p.out_w = 160;
  p.in_c = p.out_c = 56;
  p.kernel_h = p.kernel_w = 3;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  return p;
}

std::vector<std::filesystem::path> device_descriptions() {
  std::vector<std::filesystem::path> paths;
  const auto folder = test::shared_dir() / "cudnn_device_props";
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

cudnn::Session session_for(const std::filesystem::path& description) {
  std::ifstream file(description);
  return {library(), std::string{std::istreambuf_iterator<char>(file), {}}};
}

#define REQUIRE_DESCRIPTIONS()                                                               \
  REQUIRE_CUDNN();                                                                           \
  if (library()->version() < 91100)                                                          \
    GTEST_SKIP() << "cuDNN (cuda) " << library()->version_text() << ": plans without a gpu " \
                 << "need 9.11";                                                             \
  if (device_descriptions().empty())                                                         \
  GTEST_SKIP() << "no gpu descriptions for cuDNN: " << test::shared_dir() / "cudnn_device_props"

TEST(CudnnLibrary, WhatIsMissingOrNotCudnnIsNamed) {
  for (const char* path : {"/nowhere/libcudnn.so.9", "libm.so.6"}) {
    try {
      static_cast<void>(Library::open(path));
      FAIL() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kDevice);
      EXPECT_THAT(e.what(), HasSubstr(path));
      EXPECT_THAT(e.what(), HasSubstr("--no-cudnn"));
    }
  }
}

TEST(CudnnLibrary, IsVersion9) {
  REQUIRE_CUDNN();
  EXPECT_EQ(library()->version() / 10'000, 9);
  std::printf("cuDNN %s\n", library()->version_text().c_str());
}

TEST(CudnnGraph, APlanIsMadeAgainByItsName) {
  REQUIRE_DESCRIPTIONS();
  for (const auto& description : device_descriptions()) {
    const auto session = session_for(description);
    const Graph graph(session, a_problem());
    const std::vector<Plan> plans = graph.plans(kPlans, kWorkspace);
    ASSERT_FALSE(plans.empty()) << description;
    for (const Plan& plan : plans) {
      const auto again = graph.plan(plan.name());
      ASSERT_TRUE(again.has_value()) << plan.name();
      EXPECT_EQ(again->workspace_bytes(), plan.workspace_bytes()) << plan.name();
      EXPECT_EQ(plan.name().rfind(plan.engine() + ":", 0), 0u) << plan.name();
    }
    for (const char* wrong : {"", "eng", "eng41:", "eng41:k2", "eng999999", "plan"})
      EXPECT_FALSE(graph.plan(wrong).has_value()) << wrong;
  }
}

TEST(CudnnGraph, PlansKeepToTheirLimits) {
  REQUIRE_DESCRIPTIONS();
  const auto session = session_for(device_descriptions().front());
  const Graph graph(session, a_problem());
  EXPECT_EQ(graph.plans(3, kWorkspace).size(), 3u);
  for (const Plan& plan : graph.plans(100, 0)) EXPECT_EQ(plan.workspace_bytes(), 0u);
}

TEST(CudnnGraph, ShapesThatDoNotFitTogetherAreNamed) {
  REQUIRE_DESCRIPTIONS();
  const auto session = session_for(device_descriptions().front());
  Problem wrong = a_problem();
  wrong.out_h = 77;
  try {
    const Graph graph(session, wrong);
    EXPECT_TRUE(graph.plans(1, kWorkspace).empty());
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("160x160x56 77x160x56"));
  }
}

/// Every problem of a network for the buckets asked for, by key: equal ones once.
void add_problems(const Family& family, bool all, std::map<std::string, Problem>& problems) {
  const ConvertedNetwork converted = convert(family.build("plans.onnx", 0));
  const auto shapes = infer_shapes(converted.network, family.size, family.size);
  for (const int batch : batch_buckets(family.max_batch)) {
    if (!all && batch != 1 && batch != family.max_batch) continue;
    for (const Op& op : converted.network.ops) {
      OpParams p = op_params(op, shapes);
      p.batch = batch;
      const auto problem = cudnn::problem_of(op, p, ElementType::kHalf);
      if (problem) problems.emplace(problem->key(), *problem);
    }
  }
}

TEST(CudnnPlans, ExistForEveryConvolutionOfEveryFamilyOnEveryGpu) {
  REQUIRE_DESCRIPTIONS();
  const char* given = std::getenv("FACE_CUDNN_ALL");
  const bool all = given != nullptr && std::string(given) == "1";
  std::map<std::string, Problem> problems;
  for (const Family& family : kFamilies) {
    const size_t before = problems.size();
    add_problems(family, all, problems);
    std::printf("%s: %zu more problems\n", family.name, problems.size() - before);
  }
  for (const auto& description : device_descriptions()) {
    const auto begin = std::chrono::steady_clock::now();
    const auto session = session_for(description);
    size_t count = 0, without = 0;
    for (const auto& [key, problem] : problems) {
      const size_t plans = Graph(session, problem).plans(kPlans, kWorkspace).size();
      EXPECT_GT(plans, 0u) << description.stem() << ": " << key;
      count += plans;
      without += plans == 0;
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    std::printf("%s: %zu plans for %zu of %zu problems (%s batch buckets), %.1f s\n",
                description.stem().c_str(), count, problems.size() - without, problems.size(),
                all ? "all" : "first and last", spent.count());
  }
}

}  // namespace
}  // namespace face::cuda
