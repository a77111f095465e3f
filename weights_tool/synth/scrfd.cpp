// SPDX-License-Identifier: MIT
// SCRFD detectors: backbone, PAFPN neck, one head per stride.
#include <array>

#include "weights_tool/synth/models.h"
#include "weights_tool/synth/release_graph.h"

namespace face::synth {
namespace {

using Dims = ReleaseGraph::Dims;
using Conv = ReleaseGraph::Conv;

constexpr int kLevels = 3;
constexpr int64_t kAnchors = 2;
using Maps = std::array<std::string, kLevels>;  // by rising stride: 8, 16, 32

// Few cells of noise pass the threshold of 0.5, with boxes and landmarks that look like faces'.
constexpr float kScoreBias = -1.5f;
constexpr double kScoreSpread = 0.5;
constexpr float kBoxBias = 3.f;
constexpr std::array<float, 10> kLandmarkBias = {-1.f, -1.f,  1.f, -1.f, 0.f,
                                                 0.f,  -0.8f, 1.f, 0.8f, 1.f};

enum class Export {
  kDynamic,             // any size; heads are (rows, columns) of one picture
  kDynamicInterleaved,  // the same, the shape arithmetic in another order
  kFixed,               // 640 x 640; heads are (1, rows, columns)
};

struct Scrfd {
  Export style = Export::kDynamic;
  int64_t neck = 0, head = 0;
  int head_convs = 0;  // or pairs of depthwise and 1x1
  bool depthwise_head = false;
  std::array<bool, 2> downsample_shares_bias{};  // with the neck's 3x3 of the level above
  std::array<const char*, 9> outputs{};          // score, box, landmarks of each level
};

// ---- backbones

std::string conv_relu(ReleaseGraph& g, const std::string& x, const Conv& c) {
  return g.relu(g.conv(x, c, {.mean = kActiveMean}));
}

std::string residual_block(ReleaseGraph& g, const std::string& x, int64_t out, int64_t stride) {
  const std::string first = conv_relu(g, x, {.out = out, .stride = stride});
  const std::string second = g.conv(first, {.out = out});
  if (stride == 1) return g.relu(g.add(second, x));
  const std::string pooled = g.node("AveragePool", {x},
                                    {{"ceil_mode", int64_t{1}},
                                     {"kernel_shape", Dims{2, 2}},
                                     {"pads", Dims{0, 0, 0, 0}},
                                     {"strides", Dims{2, 2}}});
  return g.relu(g.add(second, g.conv(pooled, {.out = out, .kernel = 1})));
}

struct Stage {
  int64_t width;
  int blocks;
};

/// ResNet with a deep stem and average pools in its shortcuts.
Maps resnet(ReleaseGraph& g, const std::array<Stage, 4>& stages) {
  const int64_t width = stages[0].width;
  std::string x = conv_relu(g, "input.1", {.out = width / 2, .stride = 2});
  x = conv_relu(g, x, {.out = width / 2});
  x = conv_relu(g, x, {.out = width});
  x = g.node("MaxPool", {x},
             {{"ceil_mode", int64_t{0}},
              {"kernel_shape", Dims{2, 2}},
              {"pads", Dims{0, 0, 0, 0}},
              {"strides", Dims{2, 2}}});
  Maps maps;
  for (size_t s = 0; s < stages.size(); ++s) {
    for (int i = 0; i < stages[s].blocks; ++i)
      x = residual_block(g, x, stages[s].width, s > 0 && i == 0 ? 2 : 1);
    if (s > 0) maps[s - 1] = x;
  }
  return maps;
}

std::string separable(ReleaseGraph& g, const std::string& x, int64_t out, int64_t stride) {
  const std::string filtered =
      conv_relu(g, x, {.out = g.channels(x), .stride = stride, .depthwise = true});
  return conv_relu(g, filtered, {.out = out, .kernel = 1});
}

/// MobileNet v1: the first separable convolution of a stage halves the map.
Maps mobilenet(ReleaseGraph& g) {
  std::string x = separable(g, conv_relu(g, "input.1", {.out = 16, .stride = 2}), 16, 1);
  constexpr Stage kStages[] = {{40, 2}, {72, 3}, {152, 2}, {288, 6}};
  Maps maps;
  for (int s = 0; s < 4; ++s) {
    for (int i = 0; i < kStages[s].blocks; ++i)
      x = separable(g, x, kStages[s].width, i == 0 ? 2 : 1);
    if (s > 0) maps[s - 1] = x;
  }
  return maps;
}

// ---- neck

/// Initializers that the exporter writes once for the whole graph.
struct Shared {
  std::string two, three, zero, end, roi;
  std::array<std::string, 3> targets;  // of the heads' Reshapes
};

std::string target_of(ReleaseGraph& g, Export style, int64_t columns) {
  return style == Export::kFixed ? g.ints({3}, {1, -1, columns}) : g.ints({2}, {-1, columns});
}

Shared make_shared(ReleaseGraph& g, Export style) {
  Shared s;
  s.roi = g.floats({0}, {});
  if (style == Export::kFixed) return s;
  s.two = g.ints({}, {2});
  s.three = g.ints({}, {3});
  s.zero = g.ints({1}, {0});
  s.end = g.ints({1}, {2});
  s.targets = {target_of(g, style, 1), target_of(g, style, 4), target_of(g, style, 10)};
  return s;
}

std::string dimension(ReleaseGraph& g, const std::string& x, const std::string& index) {
  return g.node("Gather", {g.node("Shape", {x}), index}, {{"axis", int64_t{0}}});
}

std::string unsqueeze(ReleaseGraph& g, const std::string& x) {
  return g.node("Unsqueeze", {x}, {{"axes", Dims{0}}});
}

/// (N, C of x, H, W of like), computed at run time.
std::string sizes_like(ReleaseGraph& g, const Scrfd& config, const Shared& shared,
                       const std::string& x, const std::string& like) {
  std::string height = dimension(g, like, shared.two);
  if (config.style == Export::kDynamic) height = unsqueeze(g, height);
  std::string width = dimension(g, like, shared.three);
  if (config.style == Export::kDynamicInterleaved) height = unsqueeze(g, height);
  width = unsqueeze(g, width);
  const std::string shape = g.node("Shape", {x});
  const std::string batch = g.node("Slice", {shape, shared.zero, shared.end, shared.zero});
  return g.node("Concat", {batch, height, width}, {{"axis", int64_t{0}}});
}

/// like + x at twice the size; `side` is the result's for a fixed export.
std::string add_upsampled(ReleaseGraph& g, const Scrfd& config, const Shared& shared,
                          const std::string& x, const std::string& like, int64_t side) {
  const std::string sizes = config.style == Export::kFixed
                                ? g.ints({4}, {1, config.neck, side, side})
                                : sizes_like(g, config, shared, x, like);
  const std::string up = g.node("Resize", {x, shared.roi, shared.roi, sizes},
                                {{"coordinate_transformation_mode", std::string("asymmetric")},
                                 {"cubic_coeff_a", -0.75f},
                                 {"mode", std::string("nearest")},
                                 {"nearest_mode", std::string("floor")}});
  return g.add(like, up);
}

/// Path aggregation: top down by addition, then bottom up by strided convolutions.
Maps neck(ReleaseGraph& g, const Scrfd& config, const Shared& shared, const Maps& maps) {
  Maps lateral, level, biases;
  for (int i = 0; i < kLevels; ++i) lateral[i] = g.conv(maps[i], {.out = config.neck, .kernel = 1});
  lateral[1] = add_upsampled(g, config, shared, lateral[2], lateral[1], 40);
  lateral[0] = add_upsampled(g, config, shared, lateral[1], lateral[0], 80);
  for (int i = 0; i < kLevels; ++i) {
    level[i] = g.conv(lateral[i], {.out = config.neck});
    biases[i] = g.last_bias();
  }
  for (int i = 0; i < 2; ++i) {
    ReleaseGraph::Start start;
    if (config.downsample_shares_bias[i]) start.shared_bias = biases[i + 1];
    level[i + 1] = g.add(level[i + 1], g.conv(level[i], {.out = config.neck, .stride = 2}, start));
  }
  for (int i = 1; i < kLevels; ++i) level[i] = g.conv(level[i], {.out = config.neck});
  return level;
}

// ---- heads

std::vector<float> landmark_bias() {
  std::vector<float> bias;
  for (int a = 0; a < kAnchors; ++a)
    bias.insert(bias.end(), kLandmarkBias.begin(), kLandmarkBias.end());
  return bias;
}

/// Rows of `columns` values, anchor fastest.
std::string rows(ReleaseGraph& g, Export style, const std::string& x, const std::string& target,
                 const std::string& output = {}) {
  const Dims perm = style == Export::kFixed ? Dims{0, 2, 3, 1} : Dims{2, 3, 0, 1};
  return g.node("Reshape", {g.node("Transpose", {x}, {{"perm", perm}}), target}, {}, output);
}

std::string tower(ReleaseGraph& g, const Scrfd& config, std::string x) {
  for (int i = 0; i < config.head_convs; ++i)
    x = config.depthwise_head ? separable(g, x, config.head, 1)
                              : conv_relu(g, x, {.out = config.head});
  return x;
}

void head(ReleaseGraph& g, const Scrfd& config, const Shared& shared, const std::string& map,
          int level) {
  const std::string x = tower(g, config, map);
  const std::string score = g.conv(
      x, {.out = kAnchors}, {kScoreSpread, 0.f, std::vector<float>(kAnchors, kScoreBias), {}});
  std::string box =
      g.conv(x, {.out = 4 * kAnchors}, {0.4, 0.f, std::vector<float>(4 * kAnchors, kBoxBias), {}});
  const bool fixed = config.style == Export::kFixed;
  if (!fixed) box = g.node("Mul", {box, g.floats({}, {0.9f + 0.1f * static_cast<float>(level)})});
  const std::string landmarks = g.conv(x, {.out = 10 * kAnchors}, {0.1, 0.f, landmark_bias(), {}});
  const auto target = [&](int i, int64_t columns) {
    return fixed ? target_of(g, config.style, columns) : shared.targets[i];
  };
  const std::string logits = rows(g, config.style, score, target(0, 1));
  g.node("Sigmoid", {logits}, {}, config.outputs[level]);
  rows(g, config.style, box, target(1, 4), config.outputs[3 + level]);
  rows(g, config.style, landmarks, target(2, 10), config.outputs[6 + level]);
}

void declare_outputs(ReleaseGraph& g, const Scrfd& config) {
  constexpr int64_t kColumns[] = {1, 4, 10}, kRows[] = {12800, 3200, 800};
  for (int i = 0; i < 9; ++i) {
    const int64_t columns = kColumns[i / kLevels];
    g.output(config.outputs[i], config.style == Export::kFixed
                                    ? Dims{1, kRows[i % kLevels], columns}
                                    : Dims{-1, columns});
  }
}

onnx::Graph finish(ReleaseGraph& g, const Scrfd& config, const Maps& backbone) {
  const Shared shared = make_shared(g, config.style);
  const Maps maps = neck(g, config, shared, backbone);
  for (int level = 0; level < kLevels; ++level) head(g, config, shared, maps[level], level);
  declare_outputs(g, config);
  return g.take();
}

}  // namespace

onnx::Graph scrfd_10g(const std::string& file, uint64_t seed) {
  ReleaseGraph g(file, seed, {1, 3, -1, -1});
  const Maps maps = resnet(g, {{{56, 3}, {88, 4}, {88, 2}, {224, 3}}});
  return finish(g,
                {.style = Export::kDynamic,
                 .neck = 56,
                 .head = 80,
                 .head_convs = 3,
                 .outputs = {"448", "471", "494", "451", "474", "497", "454", "477", "500"}},
                maps);
}

onnx::Graph scrfd_2_5g(const std::string& file, uint64_t seed) {
  ReleaseGraph g(file, seed, {1, 3, -1, -1});
  const Maps maps = resnet(g, {{{24, 3}, {48, 5}, {48, 3}, {80, 2}}});
  return finish(g,
                {.style = Export::kDynamicInterleaved,
                 .neck = 24,
                 .head = 64,
                 .head_convs = 2,
                 .downsample_shares_bias = {false, true},
                 .outputs = {"446", "466", "486", "449", "469", "489", "452", "472", "492"}},
                maps);
}

onnx::Graph scrfd_500m(const std::string& file, uint64_t seed) {
  ReleaseGraph g(file, seed, {1, 3, 640, 640});
  const Maps maps = mobilenet(g);
  return finish(g,
                {.style = Export::kFixed,
                 .neck = 16,
                 .head = 64,
                 .head_convs = 2,
                 .depthwise_head = true,
                 .downsample_shares_bias = {true, true},
                 .outputs = {"score_8", "score_16", "score_32", "bbox_8", "bbox_16", "bbox_32",
                             "kps_8", "kps_16", "kps_32"}},
                maps);
}

}  // namespace face::synth
