// SPDX-License-Identifier: MIT
// weights_tool inspect as a user runs it.
#include "engine/pack.h"
#include "tests/support/shared.h"
#include "tests/weights_tool/tool_runner.h"
#include "weights_tool/sha256.h"

namespace face {
namespace {

using testing::HasSubstr;

class InspectCommand : public test::ToolRunner {
 protected:
  [[nodiscard]] test::ToolResult inspect(const std::string& arguments) const {
    return run("inspect " + arguments);
  }
  void convert(const std::string& models) const {
    const test::ToolResult r = run("convert " + models + " -o " + pack_.string());
    ASSERT_EQ(r.exit_code, 0) << r.errors;
  }
};

TEST_F(InspectCommand, ShowsWhereAWeightFileComesFrom) {
  convert(file("det.onnx") + " " + file("rec.onnx"));
  const test::ToolResult r = inspect(pack_.string());
  ASSERT_EQ(r.exit_code, 0) << r.errors;
  const std::string bytes = test::read_bytes(pack_);
  EXPECT_THAT(r.output, HasSubstr("out.fwp: " + std::to_string(bytes.size()) +
                                  " bytes, fingerprint " + Pack::open(pack_)->fingerprint()));
  EXPECT_THAT(r.output, HasSubstr("licence       InsightFace pretrained models: non-commercial"));
  EXPECT_THAT(r.output, HasSubstr("weights       trained\n"));
  const auto source = [&](const std::string& role, const std::string& name) {
    return role + name + ", SHA-256 " + sha256_hex(test::read_bytes(folder_ / name));
  };
  EXPECT_THAT(r.output, HasSubstr(source("detector      ", "det.onnx")));
  EXPECT_THAT(r.output, HasSubstr(source("recogniser    ", "rec.onnx")));
}

TEST_F(InspectCommand, SaysThatWeightsAreGenerated) {
  onnx::Graph graph = test::RecogniserGraph({}).graph();
  graph.producer = "face-worker synth";
  test::write_onnx(graph, folder_ / "rec.onnx");
  convert(file("rec.onnx"));
  EXPECT_THAT(inspect(pack_.string()).output, HasSubstr("weights       GENERATED"));
}

// The recogniser of model_graphs.h, counted by hand:
//   convolution        output    MAC per pixel   MMAC   weights + bias + slopes
//   3x3/4, 3 to 5      5x28x28   5 * 3 * 9       0.11   135 + 5 + 5
//   3x3, 5 to 6        6x28x28   6 * 5 * 9       0.21   270 + 9 * 6 (border bias) + 6
//   3x3/4, 6 to 6      6x7x7     6 * 6 * 9       0.02   324 + 6 (of the addend's branch)
TEST_F(InspectCommand, TableHasShapesWorkAndBytes) {
  convert(file("rec.onnx"));
  const test::ToolResult r = inspect(pack_.string());
  EXPECT_THAT(r.output, HasSubstr("recogniser, input 3x112x112 as (x - 127.5) * 0.0078"));
  EXPECT_THAT(r.output,
              testing::ContainsRegex("Conv_0 +conv +3x3/4 +5x28x28 +0\\.11 +0\\.6 +bias prelu\n"));
  EXPECT_THAT(r.output,
              testing::ContainsRegex("conv +3x3 +6x28x28 +0\\.21 +1\\.3 +border-bias prelu\n"));
  EXPECT_THAT(r.output, testing::ContainsRegex("conv +3x3/4 +6x7x7 +0\\.02 "));
  EXPECT_THAT(r.output, testing::ContainsRegex("conv +7x7/7 g6 +6x1x1 "));
  EXPECT_THAT(r.output, HasSubstr(": 1 x 40\n"));
}

TEST_F(InspectCommand, DetectorsTakeASize) {
  convert(file("det.onnx"));
  EXPECT_THAT(inspect(pack_.string()).output, HasSubstr("input 3x640x640"));
  const test::ToolResult r = inspect(pack_.string() + " --size 64");
  EXPECT_THAT(r.output, HasSubstr("input 3x64x64"));
  EXPECT_THAT(r.output, testing::ContainsRegex("output [a-z0-9]+: 128 x 1, sigmoid\n"));
  EXPECT_THAT(r.output, testing::ContainsRegex("output [a-z0-9]+: 8 x 10\n"));
}

TEST_F(InspectCommand, ShowsAnOnnxModelUnfused) {
  const test::ToolResult r = inspect(file("rec.onnx"));
  ASSERT_EQ(r.exit_code, 0) << r.errors;
  EXPECT_THAT(r.output,
              HasSubstr("rec.onnx: SHA-256 " + sha256_hex(test::read_bytes(folder_ / "rec.onnx"))));
  EXPECT_THAT(r.output, HasSubstr("opset         11\n"));
  EXPECT_THAT(r.output, testing::ContainsRegex("PRelu_1 +activation "));
}

TEST_F(InspectCommand, WrongInputIsOneLine) {
  expect_one_line(inspect(file("absent.fwp")), "absent.fwp: cannot open");
  expect_one_line(inspect(file("absent.onnx")), "absent.onnx: cannot read");
  expect_one_line(inspect(file("genderage.onnx")), "genderage.onnx: neither detector nor");
  test::write_bytes(pack_, "not a weight file");
  expect_one_line(inspect(pack_.string()), "out.fwp: ");
  convert(file("det.onnx"));
  for (const char* size : {"0", "-32", "100"})
    expect_one_line(inspect(pack_.string() + " --size " + size), "not a multiple of 32");
}

// Counted once from the ONNX files with onnxruntime's shapes: sum over Conv and Gemm of output
// elements times weights per output channel; 4 bytes per weight and bias.
struct KnownTotals {
  const char* model;
  const char* totals;
};
class InspectShared : public InspectCommand, public testing::WithParamInterface<KnownTotals> {};

TEST_P(InspectShared, HasTheKnownTotals) {
  const std::string name = std::string("models/") + GetParam().model;
  FACE_REQUIRE_SHARED(name);
  convert((test::shared_dir() / name).string());
  EXPECT_THAT(inspect(pack_.string()).output, HasSubstr(GetParam().totals));
}
INSTANTIATE_TEST_SUITE_P(
    Models, InspectShared,
    testing::Values(KnownTotals{"scrfd_500m_bnkps.onnx", " 0.734 GMAC, 2.51 MB of weights"},
                    KnownTotals{"arcface_mobilefacenet_y1.onnx", " 0.221 GMAC, 3.97 MB of"}));

}  // namespace
}  // namespace face
