// SPDX-License-Identifier: MIT
// The heads of a detector: three convolutions per stride become one tensor.
#include <algorithm>
#include <map>
#include <utility>

#include "engine/error.h"
#include "weights_tool/passes/passes.h"

namespace face {
namespace {

constexpr int kScore = 1, kBox = 4, kLandmarks = 10;  // columns, in the order of a level's channels

[[noreturn]] void fail(const std::string& reason) { throw Error(ErrorKind::kBadModel, reason); }

/// Indices into Draft::heads of one stride, in the order score, box, landmarks.
using Level = std::vector<size_t>;

int stride_of(const Draft& draft, const Shape& shape) {
  const int stride = draft.height / std::max(shape.height, 1);
  if (stride * shape.height != draft.height || stride * shape.width != draft.width)
    fail("head of " + std::to_string(shape.height) + "x" + std::to_string(shape.width) +
         " cells is no stride of " + std::to_string(draft.height) + "x" +
         std::to_string(draft.width));
  return stride;
}

std::map<int, Level> find_levels(const Draft& draft) {
  const auto shapes = infer_shapes(draft.network, draft.height, draft.width);
  std::map<int, Level> levels;
  for (size_t i = 0; i < draft.heads.size(); ++i)
    levels[stride_of(draft, shapes[draft.heads[i].tensor])].push_back(i);
  for (auto& [stride, level] : levels) {
    const std::string where = "heads of stride " + std::to_string(stride) + ": ";
    std::sort(level.begin(), level.end(),
              [&](size_t a, size_t b) { return draft.heads[a].columns < draft.heads[b].columns; });
    std::vector<int> columns;
    for (size_t i : level) columns.push_back(draft.heads[i].columns);
    if (columns == std::vector{kScore, kBox}) fail(where + "no landmarks");
    if (columns != std::vector{kScore, kBox, kLandmarks})
      fail(where + "want outputs of 1, 4 and 10 columns");
  }
  return levels;
}

/// A sigmoid before the transposition is part of the output, not of the tensor.
void strip_sigmoid(Draft& draft, Head& head) {
  const Links links(draft);
  const int writer = links.writer[head.tensor];
  if (writer < 0 || head.sigmoid || links.readers[head.tensor].size() != 1) return;
  Op& op = draft.network.ops[writer];
  if (op.activation != Activation::kSigmoid) return;
  op.activation = Activation::kNone;
  if (op.kind == OpKind::kActivation) head.tensor = op.input;
  head.sigmoid = true;
}

/// A convolution that computes a head and nothing else.
bool is_head_conv(const Draft& draft, const Links& links, TensorId tensor) {
  const int writer = links.writer[tensor];
  if (writer < 0 || links.readers[tensor].size() != 1) return false;
  const Op& op = draft.network.ops[writer];
  return op.kind == OpKind::kConv && op.activation == Activation::kNone && op.addend == kNoTensor &&
         op.groups == 1 && op.bias_kind != BiasKind::kBorder9;
}

/// Inserts a 1x1 convolution that copies `tensor`, so that there is one to merge.
TensorId copy_by_conv(Draft& draft, TensorId tensor) {
  const int channels = draft.network.tensors[tensor].channels;
  std::vector<float> identity(static_cast<size_t>(channels) * channels, 0.f);
  for (int c = 0; c < channels; ++c) identity[static_cast<size_t>(c) * (channels + 1)] = 1.f;
  Op op;
  op.name = draft.network.tensors[tensor].name + "_copy";
  op.input = tensor;
  op.output = add_tensor(draft.network, op.name, channels);
  op.weights = draft.arrays.add(std::move(identity));
  draft.network.ops.push_back(op);
  return op.output;
}

bool same_window(const Op& a, const Op& b) {
  return a.input == b.input && a.kernel_h == b.kernel_h && a.kernel_w == b.kernel_w &&
         a.stride_h == b.stride_h && a.stride_w == b.stride_w && a.pad_top == b.pad_top &&
         a.pad_left == b.pad_left && a.pad_bottom == b.pad_bottom && a.pad_right == b.pad_right;
}

/// One head's convolution and where its channels go in the merged tensor.
struct Part {
  int op;
  int first_channel;
};

/// A convolution like `ops[parts[0].op]` to `channels` channels: those of its parts, else zero.
Op merged_conv(Draft& draft, const std::vector<Part>& parts, int channels) {
  std::vector<Op>& ops = draft.network.ops;
  Op merged = ops[parts[0].op];
  const size_t per_output = merged.weights.size() / draft.network.tensors[merged.output].channels;
  std::vector<float> weights(channels * per_output, 0.f), bias(channels, 0.f);
  for (const Part& part : parts) {
    const Op& op = ops[part.op];
    std::copy(op.weights.begin(), op.weights.end(),
              weights.begin() + static_cast<int64_t>(part.first_channel * per_output));
    std::copy(op.bias.begin(), op.bias.end(), bias.begin() + part.first_channel);
  }
  merged.weights = draft.arrays.add(std::move(weights));
  merged.bias = draft.arrays.add(std::move(bias));
  merged.bias_kind = BiasKind::kPerChannel;
  return merged;
}

/// Appends the convolutions of one level: one where all heads read the same tensor, else one per
/// tensor, each adding the one before. Returns the tensor of all channels.
TensorId merge_level(Draft& draft, std::vector<Part> parts, int channels, const std::string& name) {
  TensorId sum = kNoTensor;
  while (!parts.empty()) {
    const Op first = draft.network.ops[parts[0].op];
    const auto rest = std::stable_partition(parts.begin(), parts.end(), [&](const Part& p) {
      return same_window(draft.network.ops[p.op], first);
    });
    Op conv = merged_conv(draft, {parts.begin(), rest}, channels);
    conv.name = name;
    conv.addend = sum;
    conv.output = sum = add_tensor(draft.network, name, channels);
    draft.network.ops.push_back(std::move(conv));
    parts.erase(parts.begin(), rest);
  }
  return sum;
}

DetectorLevel add_level(Draft& draft, int stride, const Level& level) {
  std::vector<Part> parts;
  std::vector<int> first_channels;
  int channels = 0;
  for (size_t i : level) {
    Head& head = draft.heads[i];
    strip_sigmoid(draft, head);
    if (!is_head_conv(draft, Links(draft), head.tensor))
      head.tensor = copy_by_conv(draft, head.tensor);
    parts.push_back({Links(draft).writer[head.tensor], channels});
    first_channels.push_back(channels);
    channels += draft.network.tensors[head.tensor].channels;
  }
  const std::string name = "head_" + std::to_string(stride);
  if (!draft.heads[level[0]].sigmoid) fail(name + ": scores without a Sigmoid");
  const int anchors = first_channels[1];
  if (first_channels[2] != anchors * (1 + kBox) || channels != anchors * (1 + kBox + kLandmarks))
    fail(name + ": scores, boxes and landmarks differ in their number of anchors");
  const TensorId tensor = merge_level(draft, parts, channels, name);
  return {stride, anchors, tensor, first_channels[0], first_channels[1], first_channels[2]};
}

}  // namespace

void merge_heads(Draft& draft) {
  Network& n = draft.network;
  if (n.role != NetworkRole::kDetector) return;
  std::vector<Output> outputs(draft.heads.size());
  for (const auto& [stride, level] : find_levels(draft)) {
    n.levels.push_back(add_level(draft, stride, level));
    const DetectorLevel& l = n.levels.back();
    const int begins[] = {l.score_channel, l.box_channel, l.landmark_channel};
    for (size_t i = 0; i < level.size(); ++i) {
      const Head& h = draft.heads[level[i]];
      outputs[level[i]] = {h.name,    l.tensor,  begins[i],  l.anchors * h.columns,
                           h.columns, h.sigmoid, h.batch_dim};
    }
  }
  n.outputs = std::move(outputs);
  draft.heads.clear();
}

}  // namespace face
