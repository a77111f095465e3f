// SPDX-License-Identifier: MIT
// weights_tool convert as a user runs it: exit codes, messages, files.
#include <zip.h>

#include <cmath>

#include "engine/pack.h"
#include "tests/weights_tool/tool_runner.h"
#include "weights_tool/sha256.h"

namespace face {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ConvertCommand : public test::ToolRunner {
 protected:
  test::ToolResult convert(const std::string& arguments) const {
    return run("convert " + arguments + " -o " + pack_.string());
  }

  /// One error line, no file, a code that scripts see.
  void expect_error(const test::ToolResult& r, const std::string& message) const {
    expect_one_line(r, message);
    EXPECT_FALSE(fs::exists(pack_));
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr(".partial")));
  }

  void write_zip(const std::string& name, const std::vector<std::string>& members) {
    zip_t* archive = zip_open(file(name).c_str(), ZIP_CREATE, nullptr);
    for (const std::string& member : members)
      zip_file_add(archive, ("buffalo/" + member).c_str(),
                   zip_source_file(archive, file(member).c_str(), 0, -1), 0);
    ASSERT_EQ(zip_close(archive), 0);
  }
};

TEST_F(ConvertCommand, WritesBothNetworksAndTheirProvenance) {
  const test::ToolResult r = convert(file("rec.onnx") + " " + file("det.onnx"));
  ASSERT_EQ(r.exit_code, 0) << r.errors;
  EXPECT_EQ(r.errors, "");
  const auto pack = Pack::open(pack_);
  ASSERT_NE(pack->detector(), nullptr);
  ASSERT_NE(pack->recogniser(), nullptr);
  const Provenance& p = pack->provenance();
  EXPECT_FALSE(p.generated);
  EXPECT_THAT(p.licence, HasSubstr("non-commercial research"));
  ASSERT_EQ(p.sources.size(), 2u);
  EXPECT_EQ(p.sources[0].file_name, "rec.onnx");
  EXPECT_EQ(p.sources[0].sha256, sha256_hex(test::read_bytes(folder_ / "rec.onnx")));
}

TEST_F(ConvertCommand, TakesEitherAlone) {
  ASSERT_EQ(convert(file("det.onnx")).exit_code, 0);
  EXPECT_EQ(Pack::open(pack_)->recogniser(), nullptr);
  ASSERT_EQ(convert(file("rec.onnx")).exit_code, 0);
  EXPECT_EQ(Pack::open(pack_)->detector(), nullptr);
}

TEST_F(ConvertCommand, IsDeterministic) {
  ASSERT_EQ(convert(file("det.onnx") + " " + file("rec.onnx")).exit_code, 0);
  const std::string first = test::read_bytes(pack_);
  ASSERT_EQ(convert(file("det.onnx") + " " + file("rec.onnx")).exit_code, 0);
  EXPECT_EQ(first, test::read_bytes(pack_));
}

TEST_F(ConvertCommand, SaysThatWeightsAreGenerated) {
  onnx::Graph graph = test::RecogniserGraph({}).graph();
  graph.producer = "face-worker synth";
  test::write_onnx(graph, folder_ / "rec.onnx");
  ASSERT_EQ(convert(file("rec.onnx")).exit_code, 0);
  EXPECT_TRUE(Pack::open(pack_)->provenance().generated);
}

TEST_F(ConvertCommand, FolderAndArchiveGiveTheSameNetworks) {
  const test::ToolResult folder = convert(folder_.path().string());
  ASSERT_EQ(folder.exit_code, 0) << folder.errors;
  EXPECT_THAT(folder.output, HasSubstr("genderage.onnx: skipped, neither detector nor recogniser: "
                                       "reads 96x96, a recogniser 112x112"));
  const std::string fingerprint = Pack::open(pack_)->fingerprint();
  fs::remove(pack_);
  write_zip("buffalo.zip", {"rec.onnx", "genderage.onnx", "det.onnx"});
  const test::ToolResult archive = convert(file("buffalo.zip"));
  ASSERT_EQ(archive.exit_code, 0) << archive.errors;
  EXPECT_EQ(Pack::open(pack_)->fingerprint(), fingerprint);
}

TEST_F(ConvertCommand, BrokenArchivesAreNamed) {
  write_zip("buffalo.zip", {"rec.onnx", "det.onnx"});
  const std::string good = test::read_bytes(folder_ / "buffalo.zip");
  test::write_bytes(folder_ / "cut.zip", good.substr(0, good.size() / 2));
  expect_error(convert(file("cut.zip")), "cut.zip: broken archive");
  std::string flipped = good;
  flipped[good.size() / 3] ^= 4;
  test::write_bytes(folder_ / "flipped.zip", flipped);
  expect_error(convert(file("flipped.zip")), "flipped.zip: ");
  write_zip("other.zip", {"stdout"});
  expect_error(convert(file("other.zip")), "other.zip: holds no ONNX file");
}

TEST_F(ConvertCommand, ErrorsLeaveOneLineAndNoFile) {
  expect_error(convert(file("genderage.onnx")),
               "genderage.onnx: neither detector nor recogniser: reads 96x96");
  expect_error(convert(file("absent.onnx")), "absent.onnx: does not exist");
  expect_error(convert(file("det.onnx") + " " + file("det.onnx")),
               "det.onnx: a second detector, one is enough");
  test::write_bytes(folder_ / "text.onnx", "not a model");
  expect_error(convert(file("det.onnx") + " " + file("text.onnx")),
               "text.onnx: not ONNX, or truncated");
  onnx::Graph graph = test::RecogniserGraph({}).graph();
  graph.nodes[1].op_type = "Swish";
  test::write_onnx(graph, folder_ / "rec.onnx");
  expect_error(convert(file("rec.onnx")), "rec.onnx: node PRelu_1: op Swish is not known");
  graph.nodes[1].name = "two\nlines\x1b[31m";
  test::write_onnx(graph, folder_ / "rec.onnx");
  expect_error(convert(file("rec.onnx")), "rec.onnx: node two?lines?[31m: op Swish is not known");
}

TEST_F(ConvertCommand, TruncatedModelsAreNamed) {
  const std::string good = test::read_bytes(folder_ / "rec.onnx");
  for (const size_t size : {good.size() - 1, good.size() / 2, size_t{100}, size_t{1}, size_t{0}}) {
    test::write_bytes(folder_ / "cut.onnx", good.substr(0, size));
    expect_error(convert(file("cut.onnx")), "cut.onnx: ");
    expect_error(convert(file("det.onnx") + " " + file("cut.onnx")), "cut.onnx: ");
  }
}

/// A bad model of any kind, once as a file, once in a folder, once in an archive.
struct BadModel {
  const char* name;
  std::string (*bytes)(onnx::Graph& recogniser);
  const char* message;
  bool skipped_if_found = false;  // in a folder or archive, where it is not what was asked for
};
std::string serialized(const onnx::Graph& graph) {
  return test::to_model(graph).SerializeAsString();
}
/// The first weights, with another first element.
std::string with_weight(onnx::Graph& graph, float value) {
  auto& weights = graph.initializers.at(graph.nodes[0].inputs[1]);
  onnx::Array array = *weights;
  array.floats[0] = value;
  weights = std::make_shared<const onnx::Array>(array);
  return serialized(graph);
}
const BadModel kBadModels[] = {
    {"not_onnx", [](onnx::Graph&) { return std::string("not a model"); },
     "bad.onnx: not ONNX, or truncated"},
    {"empty", [](onnx::Graph&) { return std::string(); }, "bad.onnx: "},
    {"truncated",
     [](onnx::Graph& g) {
       const std::string bytes = serialized(g);
       return bytes.substr(0, bytes.size() / 2);
     },
     "bad.onnx: not ONNX, or truncated"},
    {"unknown_op",
     [](onnx::Graph& g) {
       g.nodes[1].op_type = "Swish";
       return serialized(g);
     },
     "bad.onnx: node PRelu_1: op Swish is not known"},
    {"opset",
     [](onnx::Graph& g) {
       g.opset = 99;
       return serialized(g);
     },
     "bad.onnx: opset 99, known are 9 to 17"},
    {"attribute",
     [](onnx::Graph& g) {
       g.nodes[0].attributes["strides"] = std::string("two");
       return serialized(g);
     },
     "bad.onnx: node Conv_0: "},
    {"not_a_number", [](onnx::Graph& g) { return with_weight(g, NAN); },
     "bad.onnx: node Conv_0: weights are not all finite"},
    {"infinite", [](onnx::Graph& g) { return with_weight(g, INFINITY); },
     "bad.onnx: node Conv_0: weights are not all finite"},
    {"unknown_network",
     [](onnx::Graph& g) {
       g.inputs[0].dims = {-1, 3, 96, 96};
       return serialized(g);
     },
     "neither detector nor recogniser", true},
};
class ConvertBadModel : public ConvertCommand, public testing::WithParamInterface<BadModel> {};

TEST_P(ConvertBadModel, IsNamedWhereverItLies) {
  fs::create_directory(folder_ / "folder");
  onnx::Graph graph = test::RecogniserGraph({}).graph();
  test::write_bytes(folder_ / "folder" / "bad.onnx", GetParam().bytes(graph));
  fs::copy(folder_ / "folder" / "bad.onnx", folder_ / "bad.onnx");
  write_zip("buffalo.zip", {"bad.onnx"});
  expect_error(convert(file("bad.onnx")), GetParam().message);
  expect_error(convert(file("folder")), GetParam().message);
  expect_error(convert(file("buffalo.zip")), GetParam().message);
  // With a good model beside it.
  fs::copy(folder_ / "det.onnx", folder_ / "folder");
  write_zip("both.zip", {"bad.onnx", "det.onnx"});
  expect_error(convert(file("det.onnx") + " " + file("bad.onnx")), GetParam().message);
  if (GetParam().skipped_if_found) return;
  expect_error(convert(file("folder")), GetParam().message);
  expect_error(convert(file("both.zip")), GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(Table, ConvertBadModel, testing::ValuesIn(kBadModels),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(ConvertCommand, EmptyFoldersAreNamed) {
  fs::create_directory(folder_ / "folder");
  expect_error(convert(file("folder")), "folder: holds no ONNX file");
}

TEST_F(ConvertCommand, PlacesThatCannotBeWrittenAreNamed) {
  const std::string out = file("no") + "/such.fwp";
  expect_one_line(run("convert " + file("rec.onnx") + " -o " + out), "such.fwp");
  expect_one_line(run("convert " + file("rec.onnx") + " -o " + file("rec.onnx")),
                  "rec.onnx: is an input");
  EXPECT_EQ(run("convert " + file("rec.onnx") + " -o " + pack_.string()).exit_code, 0);
}

TEST_F(ConvertCommand, AnErrorKeepsTheFileThatWasThere) {
  test::write_bytes(pack_, "before");
  EXPECT_NE(convert(file("genderage.onnx")).exit_code, 0);
  EXPECT_EQ(test::read_bytes(pack_), "before");
}

}  // namespace
}  // namespace face
