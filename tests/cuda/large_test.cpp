// SPDX-License-Identifier: MIT
// The large networks, whole and at their own size, by the CUDA engine on the emulator and by the
// CPU engine. Minutes of work, so CTest does not know it: docs/cuda.md says how to run it.
#include <chrono>
#include <cstdio>

#include "tests/cuda/emulated.h"
#include "tests/cuda/every_op.h"
#include "tests/support/goldens.h"
#include "tests/support/models.h"
#include "tests/support/shared.h"
#include "weights_tool/synth/models.h"

namespace face {
namespace {

using cuda::Emulated;
using test::random_input;
using test::relative_l2;

struct Large {
  const char* name;
  onnx::Graph (*build)(const std::string& file, uint64_t seed);
  const char* file;  // as in the release: weights depend on it
  int size;
};
constexpr Large kLarge[] = {{"IResNet50", synth::iresnet50, "w600k_r50.onnx", 112},
                            {"SCRFD10G", synth::scrfd_10g, "det_10g.onnx", 640}};

double gmac(const Network& network, int size) {
  const auto shapes = infer_shapes(network, size, size);
  double sum = 0;
  for (const Op& op : network.ops) sum += static_cast<double>(mac_count(op, shapes));
  return 1e-9 * sum;
}

std::vector<NamedArray> outputs(Backend& backend, const Network& network, Precision precision,
                                int size, std::span<const float> input) {
  const auto executable = backend.compile(
      network,
      {.precision = precision, .max_batch = 1, .height = size, .width = size, .use_cudnn = false});
  const auto begin = std::chrono::steady_clock::now();
  executable->run(input.data(), 1);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%s, %s: %.2f s, %.2f GMAC/s\n", backend.info().name.c_str(), to_string(precision),
              took.count(), gmac(network, size) / took.count());
  return onnx_outputs(*executable, 1);
}

class LargeNetworks : public Emulated, public testing::WithParamInterface<Large> {};

TEST_P(LargeNetworks, AgreeWithTheCpuEngine) {
  const Large& large = GetParam();
  const ConvertedNetwork converted = convert(large.build(large.file, 0));
  const std::vector<float> input = random_input(size_t{3} * large.size * large.size);
  const std::vector<float> backwards(input.rbegin(), input.rend());
  const auto run = [&](DeviceKind device, Precision precision, const std::vector<float>& values) {
    return outputs(*make_backend({device}), converted.network, precision, large.size, values);
  };
  const auto wanted = run(DeviceKind::kCpu, Precision::kFp32, input);
  const auto others = run(DeviceKind::kCpu, Precision::kFp32, backwards);
  const auto found = run(DeviceKind::kGpu, Precision::kFp16, input);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::vector<float>& want = wanted[i].values;
    ASSERT_EQ(found[i].values.size(), want.size());
    const double error = relative_l2(found[i].values, want);
    const double other = relative_l2(others[i].values, want);
    const float cosine = test::cosine(found[i].values, want);
    std::printf("%s: relative L2 %.2e, cosine %.7f; of another input's %.2f, %.2f\n",
                wanted[i].name.c_str(), error, cosine, other, test::cosine(others[i].values, want));
    EXPECT_LE(error, 5e-3) << wanted[i].name;  // design: fp16
    EXPECT_GE(cosine, 0.9999f) << wanted[i].name;
    EXPECT_GE(other, 0.1) << wanted[i].name << " tells inputs apart";
  }
}
INSTANTIATE_TEST_SUITE_P(Generated, LargeNetworks, testing::ValuesIn(kLarge),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(Emulated, APhotoBecomesTheFaceOfTheCpuEngineWithIResNet50) {
  FACE_REQUIRE_SHARED("models/scrfd_500m_bnkps.onnx");
  FACE_REQUIRE_SHARED("images/yifei.jpg");
  const Large& r50 = kLarge[0];
  const auto pack =
      test::pack_of(test::convert_shared("scrfd_500m_bnkps"), convert(r50.build(r50.file, 0)));
  PipelineOptions options{.det_sizes = {160}, .max_batch = 1, .max_faces_chunk = 1};
  const auto path = test::shared_dir() / "images/yifei.jpg";
  const Image photo = test::read_photo(path);
  options.precision = Precision::kFp32;
  const auto want = make_backend({DeviceKind::kCpu})
                        ->pipeline(pack, options)
                        ->run(std::vector{photo.view()}, nullptr)[0];
  ASSERT_FALSE(want.empty());

  const auto backend = make_backend({DeviceKind::kGpu});
  const Image planes = test::read_photo(path, backend->image_target());
  options.precision = Precision::kFp16;
  const auto found = backend->pipeline(pack, options)->run(std::vector{planes.view()}, nullptr)[0];
  test::Deviation seen;
  test::compare_faces({"yifei.jpg", want}, found, test::kAgreementHalf, seen);
  ASSERT_EQ(found.size(), want.size());
  EXPECT_GE(seen.cosine, 0.999f) << "fp16 against fp32, crops that differ a little";
  std::printf("faces %d, worst IoU %.4f, score %.5f, cosine %.6f, relative L2 %.2e\n", seen.faces,
              seen.iou, seen.score, seen.cosine,
              relative_l2(found[0].embedding, want[0].embedding));
}

}  // namespace
}  // namespace face
