// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <functional>

#include "engine/error.h"
#include "tests/support/onnx_file.h"
#include "tests/weights_tool/model_graphs.h"
#include "weights_tool/converter.h"
#include "weights_tool/onnx_graph.h"
#include "weights_tool/sha256.h"

namespace face {
namespace {

namespace fs = std::filesystem;
using ::onnx::ModelProto;
using ::onnx::TensorProto;
using testing::ElementsAre;

/// One Relu from `data` to `out`, and one initializer `w` that nothing reads.
ModelProto small_model() {
  ModelProto model;
  model.add_opset_import()->set_version(11);
  auto& graph = *model.mutable_graph();
  test::fill_info(*graph.add_input(), {"data", {1, 3, -1, 8}});
  test::fill_info(*graph.add_output(), {"out", {1, 3, -1, 8}});
  auto& node = *graph.add_node();
  node.set_op_type("Relu");
  node.add_input("data");
  node.add_output("out");
  auto& w = *graph.add_initializer();
  w.set_name("w");
  w.add_dims(3);
  w.set_data_type(TensorProto::FLOAT);
  for (float v : {1.f, -2.f, 0.5f}) w.add_float_data(v);
  return model;
}

onnx::Graph parse(const ModelProto& model) {
  return onnx::parse_onnx(model.SerializeAsString(), "small.onnx");
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(OnnxReader, ReadsNodesNamesAndShapes) {
  ModelProto model = small_model();
  model.set_producer_name("someone");
  const onnx::Graph g = parse(model);
  EXPECT_EQ(g.opset, 11);
  EXPECT_EQ(g.producer, "someone");
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_THAT(g.inputs[0].dims, ElementsAre(1, 3, -1, 8));
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].name, "Relu_0") << "a node without a name";
  EXPECT_THAT(g.initializers.at("w")->floats, ElementsAre(1.f, -2.f, 0.5f));
  EXPECT_EQ(g.sha256, sha256_hex(model.SerializeAsString()));
}

TEST(OnnxReader, HashIsSha256) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(OnnxReader, InitializersThatAreInputsToo) {
  ModelProto model = small_model();
  test::fill_info(*model.mutable_graph()->add_input(), {"w", {3}});
  EXPECT_EQ(parse(model).inputs.size(), 1u);
}

TEST(OnnxReader, BringsNodesIntoOrder) {
  ModelProto model = small_model();
  auto& late = *model.mutable_graph()->mutable_node(0);
  late.set_input(0, "middle");
  auto& early = *model.mutable_graph()->add_node();
  early.set_op_type("Sigmoid");
  early.add_input("data");
  early.add_output("middle");
  const onnx::Graph g = parse(model);
  EXPECT_EQ(g.nodes[0].op_type, "Sigmoid");
  EXPECT_EQ(g.nodes[1].op_type, "Relu");
}

TEST(OnnxReader, ReadsEveryKindOfAttribute) {
  onnx::Graph graph = test::RecogniserGraph({}).graph();
  auto array = std::make_shared<onnx::Array>();
  array->dims = {2};
  array->floats = {3.f, 4.f};
  graph.nodes[0].attributes = {{"i", int64_t{-5}},
                               {"f", 2.5f},
                               {"s", std::string("text")},
                               {"is", std::vector<int64_t>{1, 2}},
                               {"fs", std::vector<float>{1.5f}},
                               {"t", std::shared_ptr<const onnx::Array>(array)}};
  const onnx::Node node = parse(test::to_model(graph)).nodes[0];
  EXPECT_EQ(int_attribute(node, "i", 0), -5);
  EXPECT_EQ(float_attribute(node, "f", 0), 2.5f);
  EXPECT_EQ(string_attribute(node, "s", ""), "text");
  EXPECT_THAT(ints_attribute(node, "is", {}), ElementsAre(1, 2));
  EXPECT_THAT(std::get<std::vector<float>>(node.attributes.at("fs")), ElementsAre(1.5f));
  EXPECT_THAT(std::get<std::shared_ptr<const onnx::Array>>(node.attributes.at("t"))->floats,
              ElementsAre(3.f, 4.f));
  EXPECT_EQ(int_attribute(node, "absent", 7), 7);
}

// ---- constants

struct DtypeCase {
  const char* name;
  TensorProto::DataType dtype;
  std::string raw;  // of 1, -2, 0.5 or of 1, 2, 3
  std::function<void(TensorProto&)> typed;
  bool is_float;
};

template <typename T>
std::string raw_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}
void typed_int32(TensorProto& t, std::initializer_list<int32_t> values) {
  for (int32_t v : values) t.add_int32_data(v);
}
void one_two_three(TensorProto& t) { typed_int32(t, {1, 2, 3}); }

const DtypeCase kDtypes[] = {
    {"float", TensorProto::FLOAT, raw_of<float>({1, -2, 0.5f}),
     [](auto& t) {
       for (float v : {1.f, -2.f, 0.5f}) t.add_float_data(v);
     },
     true},
    {"double", TensorProto::DOUBLE, raw_of<double>({1, -2, 0.5}),
     [](auto& t) {
       for (double v : {1., -2., 0.5}) t.add_double_data(v);
     },
     true},
    {"float16", TensorProto::FLOAT16, raw_of<uint16_t>({0x3C00, 0xC000, 0x3800}),
     [](auto& t) {
       typed_int32(t, {0x3C00, 0xC000, 0x3800});
     },
     true},
    {"bfloat16", TensorProto::BFLOAT16, raw_of<uint16_t>({0x3F80, 0xC000, 0x3F00}),
     [](auto& t) {
       typed_int32(t, {0x3F80, 0xC000, 0x3F00});
     },
     true},
    {"int64", TensorProto::INT64, raw_of<int64_t>({1, 2, 3}),
     [](auto& t) {
       for (int64_t v : {1, 2, 3}) t.add_int64_data(v);
     },
     false},
    {"int32", TensorProto::INT32, raw_of<int32_t>({1, 2, 3}), one_two_three, false},
    {"int16", TensorProto::INT16, raw_of<int16_t>({1, 2, 3}), one_two_three, false},
    {"uint16", TensorProto::UINT16, raw_of<uint16_t>({1, 2, 3}), one_two_three, false},
    {"int8", TensorProto::INT8, raw_of<int8_t>({1, 2, 3}), one_two_three, false},
    {"uint8", TensorProto::UINT8, raw_of<uint8_t>({1, 2, 3}), one_two_three, false},
    {"uint32", TensorProto::UINT32, raw_of<uint32_t>({1, 2, 3}),
     [](auto& t) {
       for (uint64_t v : {1, 2, 3}) t.add_uint64_data(v);
     },
     false},
    {"uint64", TensorProto::UINT64, raw_of<uint64_t>({1, 2, 3}),
     [](auto& t) {
       for (uint64_t v : {1, 2, 3}) t.add_uint64_data(v);
     },
     false}};

class Dtypes : public testing::TestWithParam<DtypeCase> {};

void expect_values(const onnx::Array& array, bool is_float) {
  EXPECT_EQ(array.is_float, is_float);
  if (is_float)
    EXPECT_THAT(array.floats, ElementsAre(1.f, -2.f, 0.5f));
  else
    EXPECT_THAT(array.ints, ElementsAre(1, 2, 3));
}

TEST_P(Dtypes, RawAndTypedAgree) {
  ModelProto model = small_model();
  auto& w = *model.mutable_graph()->mutable_initializer(0);
  w.set_data_type(GetParam().dtype);
  w.clear_float_data();
  w.set_raw_data(GetParam().raw);
  expect_values(*parse(model).initializers.at("w"), GetParam().is_float);
  w.clear_raw_data();
  GetParam().typed(w);
  expect_values(*parse(model).initializers.at("w"), GetParam().is_float);
}
INSTANTIATE_TEST_SUITE_P(Table, Dtypes, testing::ValuesIn(kDtypes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(OnnxReader, SmallestAndLargestHalves) {
  ModelProto model = small_model();
  auto& w = *model.mutable_graph()->mutable_initializer(0);
  w.set_data_type(TensorProto::FLOAT16);
  w.clear_float_data();
  w.set_raw_data(raw_of<uint16_t>({0x0001, 0x83FF, 0x7BFF}));
  EXPECT_THAT(parse(model).initializers.at("w")->floats,
              ElementsAre(0x1p-24f, -1023 * 0x1p-24f, 65504.f));
}

// ---- external data

class External : public testing::Test {
 protected:
  External() : model_(small_model()) {
    fs::create_directory(folder_ / "models");
    test::write_bytes(folder_ / "outside.bin", std::string(64, 'x'));
    test::write_bytes(folder_ / "models/w.bin", "skip" + raw_of<float>({1, -2, 0.5f}));
    auto& w = *model_.mutable_graph()->mutable_initializer(0);
    w.clear_float_data();
    w.set_data_location(TensorProto::EXTERNAL);
  }
  void entry(const std::string& key, const std::string& value) {
    auto& e = *model_.mutable_graph()->mutable_initializer(0)->add_external_data();
    e.set_key(key);
    e.set_value(value);
  }
  onnx::Graph read() {
    test::write_bytes(folder_ / "models/m.onnx", model_.SerializeAsString());
    return onnx::read_onnx(folder_ / "models/m.onnx");
  }
  std::string error() {
    return error_of([&] { (void)read(); });
  }
  test::TemporaryFolder folder_;
  ModelProto model_;
};

TEST_F(External, IsReadFromItsOffset) {
  entry("location", "w.bin");
  entry("offset", "4");
  entry("length", "12");
  expect_values(*read().initializers.at("w"), true);
}

TEST_F(External, OutsideTheFolderIsRefused) {
  entry("location", "../outside.bin");
  EXPECT_EQ(error(),
            "m.onnx: initializer 'w': external data: '../outside.bin' lies outside the model's "
            "folder");
}

TEST_F(External, LinksThatLeadOutsideAreRefused) {
  fs::create_symlink(folder_ / "outside.bin", folder_ / "models/link.bin");
  entry("location", "link.bin");
  EXPECT_THAT(error(), testing::HasSubstr("lies outside"));
}

TEST_F(External, AbsolutePathsAreRefused) {
  entry("location", (folder_ / "outside.bin").string());
  EXPECT_THAT(error(), testing::HasSubstr("lies outside"));
}

TEST_F(External, MissingFilesAndBytesAreNamed) {
  entry("location", "absent.bin");
  EXPECT_THAT(error(), testing::HasSubstr("'absent.bin' cannot be opened"));
  model_.mutable_graph()->mutable_initializer(0)->clear_external_data();
  entry("location", "w.bin");
  entry("offset", "8");
  EXPECT_THAT(error(), testing::HasSubstr("'w.bin' ends before byte 20"));
  entry("length", "99");
  EXPECT_THAT(error(), testing::HasSubstr("external data of 99 bytes, its shape wants 12"));
  entry("offset", "-1");
  EXPECT_THAT(error(), testing::HasSubstr("offset '-1' is not a number"));
}

TEST_F(External, IsRefusedFromMemory) {
  entry("location", "w.bin");
  EXPECT_THAT(error_of([&] { (void)parse(model_); }),
              testing::HasSubstr("external data cannot be read from here"));
}

// ---- what is refused

struct FaultCase {
  const char* name;
  std::function<void(ModelProto&)> damage;
  const char* message;
};

TensorProto& weights(ModelProto& m) { return *m.mutable_graph()->mutable_initializer(0); }
::onnx::NodeProto& relu(ModelProto& m) { return *m.mutable_graph()->mutable_node(0); }

const FaultCase kFaults[] = {
    {"old_opset", [](auto& m) { m.mutable_opset_import(0)->set_version(8); },
     "opset 8, known are 9 to 17"},
    {"new_opset", [](auto& m) { m.mutable_opset_import(0)->set_version(18); },
     "opset 18, known are 9 to 17"},
    {"no_opset", [](auto& m) { m.clear_opset_import(); }, "not ONNX, or truncated: no opset"},
    {"no_graph", [](auto& m) { m.clear_graph(); }, "not ONNX, or truncated: no graph"},
    {"domain", [](auto& m) { relu(m).set_domain("com.example"); },
     "node Relu_0: op com.example.Relu is not known"},
    {"unknown_input", [](auto& m) { relu(m).set_input(0, "nowhere"); },
     "node Relu_0: input 'nowhere' is produced by nothing"},
    {"unknown_output", [](auto& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); },
     "output 'z' is produced by nothing"},
    {"cycle", [](auto& m) { relu(m).set_input(0, "out"); }, "node Relu_0: is part of a cycle"},
    {"written_twice", [](auto& m) { *m.mutable_graph()->add_node() = relu(m); },
     "node Relu_1: writes 'out', which exists already"},
    {"initializer_twice", [](auto& m) { *m.mutable_graph()->add_initializer() = weights(m); },
     "initializer 'w': defined twice"},
    {"text_weights", [](auto& m) { weights(m).set_data_type(TensorProto::STRING); },
     "initializer 'w': dtype STRING is not known"},
    {"no_dtype", [](auto& m) { weights(m).clear_data_type(); }, "dtype UNDEFINED is not known"},
    {"short_typed", [](auto& m) { weights(m).set_dims(0, 4); },
     "initializer 'w': 3 values, its shape wants 4"},
    {"short_raw", [](auto& m) { weights(m).set_raw_data("12345"); },
     "initializer 'w': raw data of 5 bytes, its shape wants 12"},
    {"negative_dim", [](auto& m) { weights(m).set_dims(0, -3); }, "dimension -3"},
    {"huge",
     [](auto& m) {
       for (int i = 0; i < 9; ++i) weights(m).add_dims(1 << 30);
     },
     "more than 2^31 values"},
    {"sparse", [](auto& m) { m.mutable_graph()->add_sparse_initializer(); },
     "sparse initializers are not known"},
    {"subgraph",
     [](auto& m) {
       auto& a = *relu(m).add_attribute();
       a.set_name("body");
       a.set_type(::onnx::AttributeProto::GRAPH);
     },
     "node Relu_0: attribute 'body' of kind GRAPH is not known"},
    {"sequence",
     [](auto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_sequence_type(); },
     "'data' is not a tensor"}};
class Faults : public testing::TestWithParam<FaultCase> {};

TEST_P(Faults, AreNamed) {
  ModelProto model = small_model();
  GetParam().damage(model);
  const std::string message = error_of([&] { (void)parse(model); });
  EXPECT_THAT(message, testing::StartsWith("small.onnx: "));
  EXPECT_THAT(message, testing::HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(Table, Faults, testing::ValuesIn(kFaults),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(OnnxReader, FilesThatAreNoModels) {
  const test::TemporaryFolder folder;
  const auto error = [&](const std::string& bytes) {
    test::write_bytes(folder / "x.onnx", bytes);
    return error_of([&] { (void)onnx::read_onnx(folder / "x.onnx"); });
  };
  EXPECT_EQ(error(""), "x.onnx: empty, or not a file");
  EXPECT_EQ(error("<!DOCTYPE html><html>Not Found</html>"), "x.onnx: not ONNX, or truncated");
  EXPECT_THAT(error_of([&] { (void)onnx::read_onnx(folder / "y.onnx"); }),
              testing::HasSubstr("y.onnx: cannot read: No such file"));
  EXPECT_THAT(error_of([&] { (void)onnx::read_onnx(folder.path()); }),
              testing::HasSubstr("not a file"));
}

TEST(OnnxReader, EveryTruncationIsAnError) {
  const std::string bytes = test::to_model(test::RecogniserGraph({}).graph()).SerializeAsString();
  for (size_t n = 0; n < bytes.size(); n += 1 + bytes.size() / 1500) {
    const std::string message =
        error_of([&] { (void)onnx::parse_onnx(bytes.substr(0, n), "cut.onnx"); });
    EXPECT_THAT(message, testing::StartsWith("cut.onnx: ")) << n << " bytes";
  }
}

/// A damaged file may still be a model; it must never be more than a face::Error.
TEST(OnnxReader, FlippedBitsDoNoHarm) {
  const std::string good = test::to_model(test::RecogniserGraph({}).graph()).SerializeAsString();
  size_t refused = 0, tried = 0;
  for (size_t i = 0; i < good.size(); i += 1 + good.size() / 1200, ++tried) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (tried % 8)));
    refused += error_of([&] { (void)convert(onnx::parse_onnx(bytes, "flip.onnx")); }) != "no error";
  }
  EXPECT_GT(refused, 10u) << "of " << tried;
}

}  // namespace
}  // namespace face
