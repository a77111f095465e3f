// SPDX-License-Identifier: MIT
// ArcFace recognisers: IResNet and MobileFaceNet.
#include "weights_tool/synth/models.h"
#include "weights_tool/synth/release_graph.h"

namespace face::synth {
namespace {

using Dims = ReleaseGraph::Dims;

constexpr int64_t kEmbedding = 512;

/// x + conv2(prelu(conv1(bn(x)))): the first BatchNorm is left alone by the exporter, since
/// convolution 1 pads with zeros behind it.
std::string iresnet_block(ReleaseGraph& g, const std::string& x, int64_t out, int64_t stride) {
  const std::string normed = g.batch_norm(x);
  const std::string first = g.prelu(g.conv(normed, {.out = out}));
  const std::string second = g.conv(first, {.out = out, .stride = stride});
  if (stride == 1) return g.add(second, x);
  return g.add(second, g.conv(x, {.out = out, .kernel = 1, .stride = stride}));
}

onnx::Graph iresnet(const std::string& file, uint64_t seed, const std::vector<int>& blocks,
                    const std::string& output) {
  ReleaseGraph g(file, seed, {-1, 3, 112, 112});
  std::string x = g.prelu(g.conv("input.1", {.out = 64}));
  int64_t width = 64;
  for (const int count : blocks) {
    for (int i = 0; i < count; ++i) x = iresnet_block(g, x, width, i == 0 ? 2 : 1);
    width *= 2;
  }
  x = g.node("Flatten", {g.batch_norm(x)}, {{"axis", int64_t{1}}});
  g.batch_norm(g.gemm(x, 512 * 7 * 7, kEmbedding), output);
  g.output(output, {-1, kEmbedding});
  return g.take();
}

std::string conv_prelu(ReleaseGraph& g, const std::string& x, const ReleaseGraph::Conv& c) {
  return g.prelu(g.conv(x, c, {.mean = kActiveMean}));
}

/// 1x1 to `wide`, depthwise 3x3, 1x1 to `out` without an activation.
std::string depthwise_block(ReleaseGraph& g, const std::string& x, int64_t wide, int64_t out,
                            int64_t stride) {
  const std::string widened = conv_prelu(g, x, {.out = wide, .kernel = 1});
  const std::string filtered =
      conv_prelu(g, widened, {.out = wide, .stride = stride, .depthwise = true});
  return g.conv(filtered, {.out = out, .kernel = 1});
}

std::string residual_blocks(ReleaseGraph& g, std::string x, int count) {
  const int64_t width = g.channels(x);
  for (int i = 0; i < count; ++i) x = g.add(x, depthwise_block(g, x, width, width, 1));
  return x;
}

/// (N, C, 1, 1) to (N, -1), the batch taken from the shape at run time.
std::string flatten_by_shape(ReleaseGraph& g, const std::string& x) {
  const std::string shape = g.node("Shape", {x});
  const std::string batch = g.node("Gather", {shape, g.ints({}, {0})}, {{"axis", int64_t{0}}});
  const std::string wrapped = g.node("Unsqueeze", {batch}, {{"axes", Dims{0}}});
  const std::string target = g.node("Concat", {wrapped, g.ints({1}, {-1})}, {{"axis", int64_t{0}}});
  return g.node("Reshape", {x, target});
}

}  // namespace

onnx::Graph iresnet50(const std::string& file, uint64_t seed) {
  return iresnet(file, seed, {3, 4, 14, 3}, "683");
}

onnx::Graph iresnet100(const std::string& file, uint64_t seed) {
  return iresnet(file, seed, {3, 13, 30, 3}, "1333");
}

onnx::Graph mobilefacenet(const std::string& file, uint64_t seed) {
  ReleaseGraph g(file, seed, {-1, 3, 112, 112});
  std::string x = conv_prelu(g, "input.1", {.out = 128, .stride = 2});
  x = residual_blocks(g, x, 2);
  x = residual_blocks(g, depthwise_block(g, x, 128, 128, 2), 8);
  x = residual_blocks(g, depthwise_block(g, x, 256, 256, 2), 12);
  x = residual_blocks(g, depthwise_block(g, x, 512, 256, 2), 4);
  x = conv_prelu(g, x, {.out = 512, .kernel = 1});
  x = g.conv(x, {.out = 512, .kernel = 7, .depthwise = true, .padded = false});
  g.batch_norm(g.gemm(flatten_by_shape(g, x), 512, kEmbedding), "516");
  g.output("516", {-1, kEmbedding});
  return g.take();
}

}  // namespace face::synth
