// SPDX-License-Identifier: MIT
#include "weights_tool/converter.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "engine/error.h"
#include "tests/support/shared.h"
#include "tests/weights_tool/model_graphs.h"
#include "tests/weights_tool/network_check.h"

namespace face {
namespace {

using test::DetectorGraph;
using test::DetectorStyle;
using test::expect_same_outputs;
using test::Flattening;
using test::GraphBuilder;
using test::RecogniserGraph;
using test::RecogniserStyle;
using test::Upsampling;

std::string error_of(const onnx::Graph& graph) {
  try {
    (void)convert(graph);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kBadModel);
    return e.what();
  }
  return "";
}

// ---- detectors

class Detectors : public testing::TestWithParam<DetectorStyle> {};

TEST_P(Detectors, FuseToTheSameNetwork) {
  const DetectorGraph styled(GetParam());
  const ConvertedNetwork fused = convert(styled.graph()), plain = convert_unfused(styled.graph());
  const Network& n = fused.network;
  EXPECT_EQ(n.input.height, 0);
  EXPECT_EQ(n.input.pixel_mean, 127.5f);
  EXPECT_EQ(n.input.pixel_scale, 1 / 128.f);
  ASSERT_EQ(n.levels.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(n.levels[i].stride, 8 << i);
    EXPECT_EQ(n.levels[i].anchors, 2);
    EXPECT_EQ(n.levels[i].box_channel, 2);
    EXPECT_EQ(n.levels[i].landmark_channel, 10);
    EXPECT_EQ(n.outputs[i].tensor, n.levels[i].tensor);
    EXPECT_TRUE(n.outputs[i].sigmoid);
    EXPECT_EQ(n.outputs[3 + i].columns, 4);
    EXPECT_EQ(n.outputs[6 + i].channel_count, 20);
    EXPECT_EQ(n.outputs[6 + i].batch_dim, GetParam().batch_dim);
  }
  for (const Op& op : n.ops)
    EXPECT_TRUE(op.kind == OpKind::kConv || op.kind == OpKind::kMaxPool) << op.name;
  expect_same_outputs(plain.network, n, 64, 96);
}

const DetectorStyle kDetectorStyles[] = {
    {},
    {.name = "fixed", .size = 640, .upsampling = Upsampling::kSizes, .batch_dim = true},
    {.name = "fixed_320", .size = 320, .upsampling = Upsampling::kSizes},
    {.name = "scales", .upsampling = Upsampling::kScales},
    {.name = "opset_9", .opset = 9, .upsampling = Upsampling::kUpsampleOp},
    {.name = "opset_10", .opset = 10, .upsampling = Upsampling::kUpsampleOp},
    {.name = "opset_13", .opset = 13, .batch_dim = true},
    {.name = "opset_17", .opset = 17},
    {.name = "sigmoid_first", .sigmoid_first = true},
    {.name = "separate_towers", .separate_towers = true}};
INSTANTIATE_TEST_SUITE_P(Table, Detectors, testing::ValuesIn(kDetectorStyles),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Detector, StyleOfTheExportDoesNotMatter) {
  const ConvertedNetwork release = convert(DetectorGraph({}).graph());
  for (const DetectorStyle& style : kDetectorStyles) {
    if (style.separate_towers) continue;
    SCOPED_TRACE(style.name);
    ConvertedNetwork other = convert(DetectorGraph(style).graph());
    ASSERT_EQ(other.network.outputs.size(), release.network.outputs.size());
    for (size_t i = 0; i < other.network.outputs.size(); ++i)  // names differ with the style
      other.network.outputs[i].name = release.network.outputs[i].name;
    expect_same_outputs(release.network, other.network, 64, 96);
  }
}

TEST(Detector, WithoutLandmarksIsRefused) {
  DetectorStyle style;
  style.landmarks = false;
  EXPECT_EQ(error_of(DetectorGraph(style).graph()),
            "test.onnx: neither detector nor recogniser: 6 outputs: a detector without landmarks "
            "is not taken");
}

TEST(Detector, OutputsAreFoundWhateverTheirOrder) {
  DetectorGraph d({});
  std::reverse(d.graph().outputs.begin(), d.graph().outputs.end());
  const ConvertedNetwork n = convert(d.graph());
  EXPECT_EQ(n.network.outputs[0].columns, 10);
  EXPECT_EQ(n.network.outputs[8].columns, 1);
  EXPECT_EQ(n.network.levels[0].stride, 8);
  expect_same_outputs(convert_unfused(d.graph()).network, n.network, 64, 64);
}

// ---- recognisers

class Recognisers : public testing::TestWithParam<RecogniserStyle> {};

TEST_P(Recognisers, FuseToTheSameNetwork) {
  const RecogniserGraph styled(GetParam());
  const ConvertedNetwork fused = convert(styled.graph()), plain = convert_unfused(styled.graph());
  const Network& n = fused.network;
  EXPECT_EQ(n.embedding_size, 40);
  EXPECT_EQ(n.input.height, 112);
  for (const Op& op : n.ops)
    EXPECT_TRUE(op.kind == OpKind::kConv || op.kind == OpKind::kFullyConnected) << op.name;
  expect_same_outputs(plain.network, n, 112, 112);
  if (!GetParam().raw_pixels) {
    ConvertedNetwork release = convert(RecogniserGraph({}).graph());
    release.network.outputs[0].name = n.outputs[0].name;
    expect_same_outputs(release.network, n, 112, 112);
  }
}

const RecogniserStyle kRecogniserStyles[] = {
    {},
    {.name = "reshape_1", .flattening = Flattening::kReshapeOne},
    {.name = "reshape_any", .flattening = Flattening::kReshapeMinusOne},
    {.name = "plumbing", .flattening = Flattening::kPlumbing},
    {.name = "plumbing_13", .opset = 13, .flattening = Flattening::kPlumbing},
    {.name = "matmul", .matmul = true},
    {.name = "gemm_straight", .gemm_straight = true},
    {.name = "constants", .opset = 17, .constants_as_nodes = true},
    {.name = "dynamic", .size = -1},
    {.name = "raw_pixels", .raw_pixels = true}};
INSTANTIATE_TEST_SUITE_P(Table, Recognisers, testing::ValuesIn(kRecogniserStyles),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Recogniser, PixelsAreNormalisedOnce) {
  const Input plain = convert(RecogniserGraph({}).graph()).network.input;
  EXPECT_FLOAT_EQ(plain.pixel_mean, 127.5f);
  EXPECT_FLOAT_EQ(plain.pixel_scale, 1 / 127.5f);
  EXPECT_EQ(plain.onnx_scale, 1.f);
  RecogniserStyle style;
  style.raw_pixels = true;
  const Input raw = convert(RecogniserGraph(style).graph()).network.input;
  EXPECT_EQ(raw.pixel_mean, 127.5f);
  EXPECT_EQ(raw.pixel_scale, 1 / 128.f);
  EXPECT_EQ(raw.onnx_mean, 127.5f);
  EXPECT_EQ(raw.onnx_scale, 1 / 128.f);
}

// ---- what is refused

struct RefusedCase {
  const char* name;
  std::function<void(RecogniserGraph&)> damage;
  const char* message;
};

onnx::Node& find_node(RecogniserGraph& g, const std::string& op) {
  return *std::find_if(g.graph().nodes.begin(), g.graph().nodes.end(),
                       [&](const onnx::Node& n) { return n.op_type == op; });
}

const RefusedCase kRefused[] = {
    {"two_inputs",
     [](auto& g) {
       g.graph().inputs.push_back({"more", {1, 3, 112, 112}});
     },
     "neither detector nor recogniser: 2 inputs, want one picture"},
    {"grey", [](auto& g) { g.graph().inputs[0].dims[1] = 1; },
     "input 'data' of -1x1x112x112, want N x 3 x H x W"},
    {"landmark_net",
     [](auto& g) {
       g.graph().inputs[0].dims = {-1, 3, 192, 192};
     },
     "neither detector nor recogniser: reads 192x192, a recogniser 112x112"},
    {"three_values",
     [](auto& g) {
       g.graph().outputs[0].dims = {-1, 3};
     },
     "its output has 3 values, too few for an embedding"},
    {"unknown_op", [](auto& g) { find_node(g, "PRelu").op_type = "Swish"; },
     "test.onnx: node PRelu_1: op Swish is not known"},
    {"dilation",
     [](auto& g) {
       find_node(g, "Conv").attributes["dilations"] = GraphBuilder::Dims{2, 2};
     },
     "test.onnx: node Conv_0: dilation 2 is not known"},
    {"attribute_type", [](auto& g) { find_node(g, "Conv").attributes["group"] = 1.f; },
     "node Conv_0: attribute 'group' is not an integer"},
    {"groups", [](auto& g) { find_node(g, "Conv").attributes["group"] = int64_t{3}; },
     "node Conv_0: weights of 5x3x3x3 in 3 groups do not fit an input of 1x3x112x112"},
    {"weights_missing", [](auto& g) { find_node(g, "Conv").inputs.resize(1); },
     "node Conv_0: input 1 is missing"},
    {"weights_computed", [](auto& g) { find_node(g, "PRelu").inputs[1] = "data"; },
     "node PRelu_1: input 1 is not a constant"},
    {"slope_shape", [](auto& g) { find_node(g, "PRelu").inputs[1] = g.weights({5}); },
     "node PRelu_1: constant of 5 is not one value per channel of 1x5x28x28"},
    {"training",
     [](auto& g) { find_node(g, "BatchNormalization").attributes["training_mode"] = int64_t{1}; },
     "is in training mode"},
    {"variance",
     [](auto& g) {
       find_node(g, "BatchNormalization").inputs[4] = g.floats({5}, {1, 1, -3, 1, 1});
     },
     "variance -3"},
    {"not_finite",
     [](auto& g) {
       find_node(g, "PRelu").inputs[1] = g.floats({5, 1, 1}, {0, 0, NAN, 0, 0});
     },
     "node Conv_0: slopes are not all finite"},
    {"too_small",
     [](auto& g) {
       find_node(g, "Conv").attributes["pads"] = GraphBuilder::Dims{0, 0, 0, 0};
       find_node(g, "Conv").attributes["strides"] = GraphBuilder::Dims{64, 64};
     },
     "leaves no output of"},
    {"map_as_output", [](auto& g) { g.graph().outputs[0].name = "v0"; },
     "output 'v0': shape 1x5x28x28 is not one vector per face"},
    {"two_maps_multiplied", [](auto& g) { find_node(g, "Add").op_type = "Mul"; },
     "Mul of two feature maps is not known"},
    {"fit",
     [](auto& g) {
       find_node(g, "Gemm").inputs[1] = g.weights({40, 7});
     },
     "weights of 40x7 do not fit an input of 1x6"},
};
class Refuses : public testing::TestWithParam<RefusedCase> {};

TEST_P(Refuses, NamingFileNodeAndReason) {
  RecogniserGraph g({});
  GetParam().damage(g);
  const std::string message = error_of(g.graph());
  EXPECT_THAT(message, testing::StartsWith("test.onnx: "));
  EXPECT_THAT(message, testing::HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(Table, Refuses, testing::ValuesIn(kRefused),
                         [](const auto& info) { return std::string(info.param.name); });

struct ResizeCase {
  const char* name;
  GraphBuilder::Attributes attributes;
  std::vector<float> scales;
  const char* message;  // "": taken
};
class Resizes : public testing::TestWithParam<ResizeCase> {};

TEST_P(Resizes, OnlyWhatGivesEveryPixelTwice) {
  GraphBuilder b({1, 3, 8, 8});
  const auto x = b.conv("data", 4, {});
  b.output(b.rows(
      b.node("Resize", {x, "", b.floats({4}, GetParam().scales)}, GetParam().attributes), 1));
  std::string message;
  try {
    (void)Lowering(b.graph(), NetworkRole::kDetector).run();
  } catch (const Error& e) {
    message = e.what();
  }
  if (*GetParam().message == 0)
    EXPECT_EQ(message, "");
  else
    EXPECT_THAT(message, testing::HasSubstr(GetParam().message));
}
using A = GraphBuilder::Attributes;
GraphBuilder::Attributes modes(const char* transformation, const char* nearest) {
  return A{{"coordinate_transformation_mode", std::string(transformation)},
           {"nearest_mode", std::string(nearest)}};
}
const ResizeCase kResizes[] = {
    {"defaults", {}, {1, 1, 2, 2}, ""},
    {"asymmetric_floor", modes("asymmetric", "floor"), {1, 1, 2, 2}, ""},
    {"half_pixel_ceil", modes("half_pixel", "ceil"), {1, 1, 2, 2}, "every pixel twice"},
    {"asymmetric_ceil", modes("asymmetric", "round_prefer_ceil"), {1, 1, 2, 2}, "every pixel"},
    {"align_corners", modes("align_corners", "floor"), {1, 1, 2, 2}, "align_corners is not known"},
    {"linear", {{"mode", std::string("linear")}}, {1, 1, 2, 2}, "mode linear is not known"},
    {"by_three", {}, {1, 1, 3, 3}, "resizes 1x4x8x8 to 1x4x24x24, known is twice"},
    {"one_axis", {}, {1, 1, 2, 1}, "resizes 1x4x8x8 to 1x4x16x8"},
};
INSTANTIATE_TEST_SUITE_P(Table, Resizes, testing::ValuesIn(kResizes),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- the release's files

struct ReleaseCase {
  const char* file;
  size_t ops;
  int height, width;
};
class Releases : public testing::TestWithParam<ReleaseCase> {};

TEST_P(Releases, FuseToTheSameNetwork) {
  const std::string path = std::string("models/") + GetParam().file;
  FACE_REQUIRE_SHARED(path);
  const onnx::Graph graph = onnx::read_onnx(test::shared_dir() / path);
  const ConvertedNetwork fused = convert(graph);
  EXPECT_EQ(fused.network.ops.size(), GetParam().ops);
  expect_same_outputs(convert_unfused(graph).network, fused.network, GetParam().height,
                      GetParam().width);
}
constexpr ReleaseCase kReleases[] = {{"scrfd_2.5g_bnkps.onnx", 52, 64, 96},
                                     {"scrfd_500m_bnkps.onnx", 54, 96, 64},
                                     {"arcface_mobilefacenet_y1.onnx", 50, 112, 112}};
INSTANTIATE_TEST_SUITE_P(Table, Releases, testing::ValuesIn(kReleases), [](const auto& info) {
  const std::string name = info.param.file;
  return name.substr(0, 5) + std::to_string(info.index);
});

}  // namespace
}  // namespace face
