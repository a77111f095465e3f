// SPDX-License-Identifier: MIT
// engine/network.h - a network in memory: few fused operations over tensors, in the order they run.
//
// weights_tool builds it from ONNX, engine/pack stores and loads it, engine/cpu and engine/cuda
// execute it. Shapes are per image (the batch is the executor's business); the spatial size of
// a detector's tensors follows from the size of its input: infer_shapes().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace face {

/// Index into Network::tensors.
using TensorId = int32_t;
constexpr TensorId kNoTensor = -1;

/// Channels, height and width of one image's tensor.
struct Shape {
  int channels = 0;
  int height = 0;
  int width = 0;
  friend bool operator==(const Shape&, const Shape&) = default;
};

// Values of the enumerations are those of the weight file: never renumber.
enum class OpKind : uint32_t {
  kConv = 1,            // activation(conv(input) + bias + addend)
  kFullyConnected = 2,  // activation(weights . flatten_chw(input) + bias)
  kMaxPool = 3,
  kAveragePool = 4,
  kUpsample2x = 5,  // nearest neighbour
  kAdd = 6,         // activation(input + addend)
  kAffine = 7,      // activation(input * weights[c] + bias[c]): a BatchNorm nothing could absorb
  kActivation = 8,  // activation(input)
};

enum class Activation : uint32_t {
  kNone = 0,
  kRelu = 1,
  kPrelu = 2,  // x < 0 ? x * slopes[c] : x
  kClip = 3,   // min(max(x, clip_low), clip_high)
  kSigmoid = 4,
};

enum class BiasKind : uint32_t {
  kNone = 0,
  kPerChannel = 1,  // (out_channels)
  /// (9, out_channels): a BatchNorm before a zero-padded 3x3 convolution, folded exactly. Row
  /// 3 * v + h, where v is 0 if the window at the output pixel reaches above the input, 2 if
  /// below, else 1, and h the same for left and right: kernels/math/border_bias.h.
  /// REQUIRES: 3x3 kernel, padding 1 on all sides, input at least 2x2.
  kBorder9 = 2,
};

/// One operation. Fields that do not concern `kind` keep their defaults.
struct Op {
  OpKind kind = OpKind::kConv;
  std::string name;  // the ONNX node it comes from, for messages and profiles
  TensorId input = kNoTensor;
  TensorId output = kNoTensor;
  /// Added before the activation (kConv, kAdd). With addend_upsampled, it has half the output's
  /// height and width and pixel (y, x) adds (y / 2, x / 2).
  TensorId addend = kNoTensor;
  bool addend_upsampled = false;

  int groups = 1;
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  bool ceil_mode = false;          // pools: output size rounds up
  bool count_include_pad = false;  // kAveragePool

  Activation activation = Activation::kNone;
  float clip_low = 0.f, clip_high = 0.f;

  // An executor's choices, not in packs: engine/cpu/fusion.h.
  /// kConv: the output is the 2x2 maximum, stride 2, of what is described here.
  bool max_pooled = false;
  /// kConv, 1x1: this depthwise convolution reads `input`, and the op what that one gives.
  std::shared_ptr<const Op> depthwise;

  /// kConv: (out, in / groups, kernel_h, kernel_w); kFullyConnected: (out, in_c * in_h * in_w);
  /// kAffine: (c). Float32; memory belongs to the Pack, or to whoever built the network.
  std::span<const float> weights;
  BiasKind bias_kind = BiasKind::kNone;
  std::span<const float> bias;
  std::span<const float> slopes;  // kPrelu: (out_channels)
};

struct Tensor {
  std::string name;
  int channels = 0;
};

enum class NetworkRole : uint32_t { kDetector = 1, kRecogniser = 2 };

/// What the network reads. The network's own input is (x - mean) * scale, per channel the same.
struct Input {
  std::string name;  // of the ONNX graph's input
  TensorId tensor = kNoTensor;
  int height = 0, width = 0;                           // 0: any multiple of 32 (detectors)
  float pixel_mean = 127.5f, pixel_scale = 1.f / 128;  // x is an RGB value 0..255
  float onnx_mean = 0.f, onnx_scale = 1.f;             // x is what the ONNX graph is fed
};

/// One output of the ONNX graph, as a part of a tensor. Detector heads: channels
/// [channel_begin, channel_begin + channel_count) of every pixel, row-major, cut into rows of
/// `columns` values. Recogniser: all channels.
struct Output {
  std::string name;
  TensorId tensor = kNoTensor;
  int channel_begin = 0, channel_count = 0;
  int columns = 0;
  bool sigmoid = false;    // the ONNX output is sigmoid(channel); the tensor holds logits
  bool batch_dim = false;  // ONNX shape is (N, rows, columns) rather than (rows, columns)
};

/// One stride of an SCRFD head: where scores (logits), boxes and landmarks lie in its tensor.
/// Channels: score[anchor], box[anchor][l, t, r, b], landmark[anchor][5][x, y], in cells.
struct DetectorLevel {
  int stride = 0;
  int anchors = 0;
  TensorId tensor = kNoTensor;
  int score_channel = 0, box_channel = 0, landmark_channel = 0;
};

struct Network {
  NetworkRole role = NetworkRole::kDetector;
  Input input;
  std::vector<Tensor> tensors;
  std::vector<Op> ops;                // topological order
  std::vector<Output> outputs;        // in the ONNX graph's order
  std::vector<DetectorLevel> levels;  // detectors: by rising stride
  int embedding_size = 0;             // recognisers
};

/// Checks everything an executor relies on: ids in range, each tensor written once and before it
/// is read, channel counts and weight sizes that agree, known enumerators, levels and outputs
/// inside their tensors. Throws Error(kBadModel) that begins with `where` and names op and field.
void validate(const Network& network, const std::string& where);

/// Shape of every tensor for an input of `height` x `width` pixels, indexed by TensorId.
/// Throws Error(kInvalidArgument) if an addend's size would not fit, or a size becomes 0.
[[nodiscard]] std::vector<Shape> infer_shapes(const Network& network, int height, int width);

/// Multiply-accumulates of one op for the given shapes.
[[nodiscard]] uint64_t mac_count(const Op& op, const std::vector<Shape>& shapes);

/// Channels of the tensor that `op` writes.
[[nodiscard]] int out_channels(const Network& network, const Op& op);

[[nodiscard]] const char* to_string(OpKind kind);
[[nodiscard]] const char* to_string(Activation activation);

}  // namespace face
