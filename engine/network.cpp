// SPDX-License-Identifier: MIT
#include "engine/network.h"

#include <algorithm>

#include "engine/error.h"

namespace face {
namespace {

int pooled(int in, int kernel, int stride, int pad, bool ceil_mode) {
  const int room = in + pad - kernel;
  if (room < 0) return 0;
  return (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
}

Shape window_shape(const Op& op, const Shape& in, int channels) {
  int height =
      pooled(in.height, op.kernel_h, op.stride_h, op.pad_top + op.pad_bottom, op.ceil_mode);
  int width = pooled(in.width, op.kernel_w, op.stride_w, op.pad_left + op.pad_right, op.ceil_mode);
  // ONNX drops a last window that would start in the padding behind the input.
  if (op.ceil_mode && (height - 1) * op.stride_h >= in.height + op.pad_top) --height;
  if (op.ceil_mode && (width - 1) * op.stride_w >= in.width + op.pad_left) --width;
  return {channels, height, width};
}

/// What the products of a convolution are made of.
Shape conv_input(const Op& op, const Shape& in) {
  return op.depthwise != nullptr ? window_shape(*op.depthwise, in, in.channels) : in;
}

Shape output_shape(const Network& network, const Op& op, const Shape& in) {
  const int channels = network.tensors[op.output].channels;
  switch (op.kind) {
    case OpKind::kConv:
    case OpKind::kMaxPool:
    case OpKind::kAveragePool: {
      const Shape out = window_shape(op, conv_input(op, in), channels);
      return op.max_pooled ? Shape{channels, out.height / 2, out.width / 2} : out;
    }
    case OpKind::kFullyConnected:
      return {channels, 1, 1};
    case OpKind::kUpsample2x:
      return {channels, 2 * in.height, 2 * in.width};
    case OpKind::kAdd:
    case OpKind::kAffine:
    case OpKind::kActivation:
      return {channels, in.height, in.width};
  }
  return {};
}

std::string text(const Shape& s) {
  return std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" +
         std::to_string(s.width);
}

/// Checks one network; every failure goes through fail().
class Validator {
 public:
  Validator(const Network& network, const std::string& where) : n_(network), where_(where) {}

  void run() {
    if (n_.role != NetworkRole::kDetector && n_.role != NetworkRole::kRecogniser)
      fail("role", "unknown value " + std::to_string(static_cast<uint32_t>(n_.role)));
    check_input();
    written_.assign(n_.tensors.size(), false);
    written_[n_.input.tensor] = true;
    for (const Op& op : n_.ops) check_op(op);
    for (const Output& output : n_.outputs) check_output(output);
    if (n_.outputs.empty()) fail("outputs", "none");
    n_.role == NetworkRole::kDetector ? check_levels() : check_embedding();
  }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& reason) const {
    throw Error(ErrorKind::kBadModel, where_ + ": " + field + ": " + reason);
  }

  void check_tensor_id(TensorId id, const std::string& field) const {
    if (id < 0 || static_cast<size_t>(id) >= n_.tensors.size())
      fail(field, "tensor " + std::to_string(id) + " of " + std::to_string(n_.tensors.size()));
  }

  void check_read(TensorId id, const std::string& field) const {
    check_tensor_id(id, field);
    if (!written_[id])
      fail(field, "tensor " + std::to_string(id) + " is read before it is written");
  }

  void check_input() const {
    check_tensor_id(n_.input.tensor, "input");
    for (const Tensor& tensor : n_.tensors)
      if (tensor.channels < 1 || tensor.channels > kMaxChannels)
        fail("tensor '" + tensor.name + "'", "channels " + std::to_string(tensor.channels));
    const int h = n_.input.height, w = n_.input.width;
    if (h < 0 || w < 0 || h > kMaxSide || w > kMaxSide || (h == 0) != (w == 0))
      fail("input", "size " + std::to_string(h) + "x" + std::to_string(w));
    if (channels(n_.input.tensor) != 3)
      fail("input", std::to_string(channels(n_.input.tensor)) + " channels, want 3");
    for (float v : {n_.input.pixel_scale, n_.input.onnx_scale})
      if (!(v > 1e-9f && v < 1e9f)) fail("input", "scale " + std::to_string(v));
    for (float v : {n_.input.pixel_mean, n_.input.onnx_mean})
      if (!(v > -1e9f && v < 1e9f)) fail("input", "mean " + std::to_string(v));
  }

  int channels(TensorId id) const { return n_.tensors[id].channels; }

  void check_op(const Op& op) {
    const std::string where = "op '" + op.name + "'";
    check_read(op.input, where + " input");
    check_tensor_id(op.output, where + " output");
    if (written_[op.output]) fail(where + " output", "tensor is written twice");
    check_window(op, where);
    check_kind(op, where);
    check_addend(op, where);
    check_bias(op, where);
    check_activation(op, where);
    written_[op.output] = true;
  }

  void check_window(const Op& op, const std::string& where) const {
    const auto in_range = [](int v, int low, int high) { return v >= low && v <= high; };
    if (!in_range(op.kernel_h, 1, kMaxKernel) || !in_range(op.kernel_w, 1, kMaxKernel))
      fail(where, "kernel " + std::to_string(op.kernel_h) + "x" + std::to_string(op.kernel_w));
    if (!in_range(op.stride_h, 1, kMaxKernel) || !in_range(op.stride_w, 1, kMaxKernel))
      fail(where, "stride " + std::to_string(op.stride_h) + "x" + std::to_string(op.stride_w));
    for (int pad : {op.pad_top, op.pad_left, op.pad_bottom, op.pad_right})
      if (!in_range(pad, 0, kMaxKernel - 1)) fail(where, "padding " + std::to_string(pad));
    if (std::max(op.pad_top, op.pad_bottom) >= op.kernel_h ||
        std::max(op.pad_left, op.pad_right) >= op.kernel_w)
      fail(where, "padding not smaller than the kernel");
  }

  void check_kind(const Op& op, const std::string& where) const {
    const int in = channels(op.input), out = channels(op.output);
    switch (op.kind) {
      case OpKind::kConv:
        if (op.groups < 1 || in % op.groups != 0 || out % op.groups != 0)
          fail(where, std::to_string(op.groups) + " groups for " + std::to_string(in) + " -> " +
                          std::to_string(out) + " channels");
        check_size(op.weights.size(), size_t(out) * (in / op.groups) * op.kernel_h * op.kernel_w,
                   where + " weights");
        return;
      case OpKind::kFullyConnected:
        if (op.weights.empty() || op.weights.size() % (size_t(out) * in) != 0)
          fail(where + " weights", std::to_string(op.weights.size()) + " values for " +
                                       std::to_string(in) + " -> " + std::to_string(out));
        return;
      case OpKind::kAffine:
        check_size(op.weights.size(), out, where + " weights");
        [[fallthrough]];
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
      case OpKind::kUpsample2x:
      case OpKind::kAdd:
      case OpKind::kActivation:
        if (in != out) fail(where, std::to_string(in) + " -> " + std::to_string(out) + " channels");
        return;
    }
    fail(where, "unknown kind " + std::to_string(static_cast<uint32_t>(op.kind)));
  }

  void check_addend(const Op& op, const std::string& where) const {
    if (op.addend == kNoTensor) {
      if (op.kind == OpKind::kAdd) fail(where + " addend", "missing");
      if (op.addend_upsampled) fail(where + " addend", "upsampled but missing");
      return;
    }
    if (op.kind != OpKind::kAdd && op.kind != OpKind::kConv) fail(where + " addend", "not taken");
    check_read(op.addend, where + " addend");
    if (channels(op.addend) != channels(op.output)) fail(where + " addend", "channels differ");
  }

  void check_bias(const Op& op, const std::string& where) const {
    const size_t out = channels(op.output);
    switch (op.bias_kind) {
      case BiasKind::kNone:
        return check_size(op.bias.size(), 0, where + " bias");
      case BiasKind::kPerChannel:
        if (op.kind != OpKind::kConv && op.kind != OpKind::kFullyConnected &&
            op.kind != OpKind::kAffine)
          fail(where + " bias", "not taken");
        return check_size(op.bias.size(), out, where + " bias");
      case BiasKind::kBorder9:
        if (op.kind != OpKind::kConv || op.kernel_h != 3 || op.kernel_w != 3 || op.pad_top != 1 ||
            op.pad_left != 1 || op.pad_bottom != 1 || op.pad_right != 1)
          fail(where + " bias", "border classes need a 3x3 convolution padded by 1");
        return check_size(op.bias.size(), 9 * out, where + " bias");
    }
    fail(where + " bias kind",
         "unknown value " + std::to_string(static_cast<uint32_t>(op.bias_kind)));
  }

  void check_activation(const Op& op, const std::string& where) const {
    const size_t out = channels(op.output);
    switch (op.activation) {
      case Activation::kPrelu:
        return check_size(op.slopes.size(), out, where + " slopes");
      case Activation::kClip:
        if (!(op.clip_low <= op.clip_high)) fail(where + " clip", "low is not below high");
        [[fallthrough]];
      case Activation::kNone:
      case Activation::kRelu:
      case Activation::kSigmoid:
        return check_size(op.slopes.size(), 0, where + " slopes");
    }
    fail(where + " activation",
         "unknown value " + std::to_string(static_cast<uint32_t>(op.activation)));
  }

  void check_size(size_t found, size_t wanted, const std::string& field) const {
    if (found != wanted)
      fail(field, std::to_string(found) + " values, want " + std::to_string(wanted));
  }

  void check_output(const Output& o) const {
    check_read(o.tensor, "output '" + o.name + "'");
    check_channels(o.channel_begin, o.channel_count, o.tensor, "output '" + o.name + "'");
    if (o.columns < 1 || o.channel_count % o.columns != 0)
      fail("output '" + o.name + "'", std::to_string(o.columns) + " columns for " +
                                          std::to_string(o.channel_count) + " channels");
  }

  void check_channels(int begin, int count, TensorId tensor, const std::string& field) const {
    if (begin < 0 || count < 1 || begin > channels(tensor) || count > channels(tensor) - begin)
      fail(field, "channels " + std::to_string(begin) + " + " + std::to_string(count) + " of " +
                      std::to_string(channels(tensor)));
  }

  void check_levels() const {
    if (n_.levels.empty()) fail("levels", "none");
    int previous = 0;
    for (const DetectorLevel& level : n_.levels) {
      const std::string where = "level of stride " + std::to_string(level.stride);
      if (level.stride <= previous || level.stride > 128) fail(where, "strides must rise");
      previous = level.stride;
      check_read(level.tensor, where);
      if (level.anchors < 1 || level.anchors > 16)
        fail(where, std::to_string(level.anchors) + " anchors");
      check_channels(level.score_channel, level.anchors, level.tensor, where + " scores");
      check_channels(level.box_channel, 4 * level.anchors, level.tensor, where + " boxes");
      check_channels(level.landmark_channel, 10 * level.anchors, level.tensor,
                     where + " landmarks");
    }
  }

  void check_embedding() const {
    if (n_.outputs.size() != 1) fail("outputs", "a recogniser has one");
    if (n_.embedding_size != n_.outputs[0].channel_count)
      fail("embedding_size", std::to_string(n_.embedding_size) + ", output has " +
                                 std::to_string(n_.outputs[0].channel_count));
  }

  static constexpr int kMaxChannels = 1 << 16;
  static constexpr int kMaxSide = 1 << 14;
  static constexpr int kMaxKernel = 64;

  const Network& n_;
  const std::string& where_;
  std::vector<bool> written_;
};

}  // namespace

void validate(const Network& network, const std::string& where) { Validator(network, where).run(); }

std::vector<Shape> infer_shapes(const Network& network, int height, int width) {
  std::vector<Shape> shapes(network.tensors.size());
  shapes[network.input.tensor] = {network.tensors[network.input.tensor].channels, height, width};
  for (const Op& op : network.ops) {
    const auto fail = [&](const std::string& reason) {
      throw Error(ErrorKind::kInvalidArgument, "input of " + std::to_string(height) + "x" +
                                                   std::to_string(width) + ": op '" + op.name +
                                                   "': " + reason);
    };
    const Shape& in = shapes[op.input];
    const Shape out = output_shape(network, op, in);
    if (out.height < 1 || out.width < 1) fail("no output left of " + text(in));
    if (op.kind == OpKind::kFullyConnected &&
        op.weights.size() != size_t(out.channels) * in.channels * in.height * in.width)
      fail("weights do not fit an input of " + text(in));
    if (op.bias_kind == BiasKind::kBorder9 && (in.height < 2 || in.width < 2))
      fail("border classes need an input of at least 2x2");
    if (op.addend != kNoTensor) {
      const Shape& addend = shapes[op.addend];
      const int factor = op.addend_upsampled ? 2 : 1;
      if (addend.height * factor != out.height || addend.width * factor != out.width)
        fail("adds " + text(addend) + " to " + text(out));
    }
    shapes[op.output] = out;
  }
  return shapes;
}

uint64_t mac_count(const Op& op, const std::vector<Shape>& shapes) {
  if (op.kind == OpKind::kFullyConnected) return op.weights.size();
  if (op.kind != OpKind::kConv) return 0;
  const Shape& out = shapes[op.output];
  const size_t before = op.depthwise != nullptr ? op.depthwise->weights.size() : 0;
  return (op.weights.size() + before) * uint64_t(out.height) * out.width * (op.max_pooled ? 4 : 1);
}

int out_channels(const Network& network, const Op& op) {
  return network.tensors[op.output].channels;
}

const char* to_string(OpKind kind) {
  switch (kind) {
    case OpKind::kConv:
      return "conv";
    case OpKind::kFullyConnected:
      return "fc";
    case OpKind::kMaxPool:
      return "maxpool";
    case OpKind::kAveragePool:
      return "avgpool";
    case OpKind::kUpsample2x:
      return "upsample2x";
    case OpKind::kAdd:
      return "add";
    case OpKind::kAffine:
      return "affine";
    case OpKind::kActivation:
      return "activation";
  }
  return "unknown";
}

const char* to_string(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return "none";
    case Activation::kRelu:
      return "relu";
    case Activation::kPrelu:
      return "prelu";
    case Activation::kClip:
      return "clip";
    case Activation::kSigmoid:
      return "sigmoid";
  }
  return "unknown";
}

}  // namespace face
