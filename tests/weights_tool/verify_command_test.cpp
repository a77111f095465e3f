// SPDX-License-Identifier: MIT
// weights_tool verify as a user runs it.
#include <limits>

#include "engine/pack.h"
#include "tests/support/shared.h"
#include "tests/weights_tool/tool_runner.h"
#include "weights_tool/converter.h"

namespace face {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class VerifyCommand : public test::ToolRunner {
 protected:
  void convert(const std::string& models) const {
    const test::ToolResult r = run("convert " + models + " -o " + pack_.string());
    ASSERT_EQ(r.exit_code, 0) << r.errors;
  }
  [[nodiscard]] test::ToolResult verify(const std::string& models) const {
    return run("verify " + pack_.string() + " " + models);
  }
  [[nodiscard]] std::string both() const { return file("det.onnx") + " " + file("rec.onnx"); }

  /// A weight file that names rec.onnx as its source, with one weight changed.
  void write_damaged(float value) const {
    const onnx::Graph graph = onnx::read_onnx(file("rec.onnx"));
    ConvertedNetwork converted = face::convert(graph);
    Op& op = converted.network.ops.at(2);
    std::vector<float> weights(op.weights.begin(), op.weights.end());
    weights[5] = value;
    op.weights = weights;
    Provenance provenance;
    provenance.sources = {{NetworkRole::kRecogniser, "rec.onnx", graph.sha256}};
    write_pack(pack_, {&converted.network}, provenance);
  }
  [[nodiscard]] std::string rec_output() const {
    return onnx::read_onnx(file("rec.onnx")).outputs.at(0).name;
  }
};

TEST_F(VerifyCommand, PassesWhatConvertMade) {
  convert(both());
  const test::ToolResult r = verify(both());
  EXPECT_EQ(r.exit_code, 0) << r.errors;
  EXPECT_EQ(r.errors, "");
  EXPECT_THAT(r.output, HasSubstr("matches, fingerprint " + Pack::open(pack_)->fingerprint()));
  EXPECT_THAT(r.output, Not(HasSubstr("BEYOND TOLERANCE")));
  EXPECT_THAT(r.output, Not(HasSubstr("not verified")));
  for (const char* model : {"det.onnx", "rec.onnx"})
    for (const auto& output : onnx::read_onnx(file(model)).outputs)
      EXPECT_THAT(r.output, HasSubstr("\n  " + output.name + " "));
}

TEST_F(VerifyCommand, TakesAFolderAndLeavesOtherModelsOut) {
  convert(both());
  const test::ToolResult r = verify(folder_.path().string());
  EXPECT_EQ(r.exit_code, 0) << r.errors;
  EXPECT_THAT(r.output, Not(HasSubstr("genderage")));
}

TEST_F(VerifyCommand, SaysWhatItWasGivenNoModelFor) {
  convert(both());
  const test::ToolResult r = verify(file("det.onnx"));
  EXPECT_EQ(r.exit_code, 0) << r.errors;
  EXPECT_THAT(r.output, HasSubstr("recogniser: not verified, no model given"));
}

TEST_F(VerifyCommand, FailsOnWeightsOfAnotherModel) {
  convert(file("rec.onnx"));
  onnx::Graph other = test::RecogniserGraph({}).graph();
  onnx::Array weights = *other.initializers.at(other.nodes[0].inputs[1]);
  weights.floats[7] += 0.25f;
  other.initializers[other.nodes[0].inputs[1]] = std::make_shared<const onnx::Array>(weights);
  test::write_onnx(other, folder_ / "rec.onnx");
  const test::ToolResult r = verify(file("rec.onnx"));
  expect_one_line(
      r, "out.fwp: does not match rec.onnx: SHA-256 is not that of the source, and 1 more");
  EXPECT_THAT(r.output, HasSubstr("rec.onnx: SHA-256 "));
  EXPECT_THAT(r.output, HasSubstr("BEYOND TOLERANCE"));
  EXPECT_THAT(r.output, Not(HasSubstr("matches")));
}

TEST_F(VerifyCommand, FailsAndNamesTheOutputThoughTheSourceIsRight) {
  write_damaged(0.5f);
  expect_one_line(verify(file("rec.onnx")),
                  "out.fwp: does not match rec.onnx: output '" + rec_output() + "'");
}

TEST_F(VerifyCommand, FailsOnNan) {
  write_damaged(std::numeric_limits<float>::quiet_NaN());
  expect_one_line(verify(file("rec.onnx") + " --tolerance 1e30"),
                  "out.fwp: does not match rec.onnx: output '" + rec_output() + "'");
}

TEST_F(VerifyCommand, HoldsOutputsAgainstTheTolerance) {
  convert(file("rec.onnx"));
  // Folded weights are rounded to float32: never exactly the graph's.
  expect_one_line(verify(file("rec.onnx") + " --tolerance 1e-12"), "does not match rec.onnx: out");
}

TEST_F(VerifyCommand, FailsOnADamagedFile) {
  convert(file("rec.onnx"));
  std::string bytes = test::read_bytes(pack_);
  bytes[bytes.size() - 100] ^= 1;
  test::write_bytes(pack_, bytes);
  expect_one_line(verify(file("rec.onnx")), "out.fwp: ");
}

TEST_F(VerifyCommand, NamesWhatCannotBeVerified) {
  convert(file("rec.onnx"));
  expect_one_line(verify(file("det.onnx")), "out.fwp: holds no detector to hold det.onnx against");
  expect_one_line(verify(file("genderage.onnx")),
                  "genderage.onnx: neither detector nor recogniser: reads 96x96");
  expect_one_line(verify(file("absent.onnx")), "absent.onnx: does not exist");
  test::write_bytes(folder_ / "text.onnx", "not a model");
  expect_one_line(verify(file("text.onnx")), "text.onnx: not ONNX, or truncated");
  fs::create_directory(folder_ / "folder");
  fs::copy(folder_ / "genderage.onnx", folder_ / "folder");
  expect_one_line(verify(file("folder")), "folder: holds neither detector nor recogniser");
  fs::remove(pack_);
  expect_one_line(verify(file("rec.onnx")), "out.fwp: cannot open");
}

/// The real files, converted and verified.
class VerifyShared : public VerifyCommand, public testing::WithParamInterface<const char*> {};

TEST_P(VerifyShared, Passes) {
  const std::string name = std::string("models/") + GetParam() + ".onnx";
  FACE_REQUIRE_SHARED(name);
  const std::string model = (test::shared_dir() / name).string();
  convert(model);
  const test::ToolResult r = verify(model + " --tolerance 1e-6");
  EXPECT_EQ(r.exit_code, 0) << r.errors << r.output;
}
INSTANTIATE_TEST_SUITE_P(Models, VerifyShared,
                         testing::Values("scrfd_500m_bnkps", "scrfd_2.5g_bnkps",
                                         "arcface_mobilefacenet_y1"));

}  // namespace
}  // namespace face
