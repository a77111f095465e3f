// SPDX-License-Identifier: MIT
#include "engine/cpu/pooling.h"

#include <algorithm>
#include <limits>

#include "engine/cpu/pointwise.h"

namespace face::cpu {
namespace {

/// The part of a window along one axis that lies inside the input.
struct Range {
  int begin, end;
};
Range inside(int out, int stride, int pad, int kernel, int size) {
  const int begin = out * stride - pad;
  return {std::max(begin, 0), std::min(begin + kernel, size)};
}

/// Elements of the window inside the padded input: what an average divides by.
int padded_count(const Op& op, const Shape& in, int y, int x) {
  const int top = y * op.stride_h - op.pad_top, left = x * op.stride_w - op.pad_left;
  const int bottom = std::min(top + op.kernel_h, in.height + op.pad_bottom);
  const int right = std::min(left + op.kernel_w, in.width + op.pad_right);
  return (bottom - top) * (right - left);
}

void take_max(const float* in, float* out, int channels) {
  for (int c = 0; c < channels; ++c)
    out[c] = in[c] > out[c] || in[c] != in[c] ? in[c] : out[c];  // a NaN stays
}

void take_sum(const float* in, float* out, int channels) {
  for (int c = 0; c < channels; ++c) out[c] += in[c];
}

/// Ops whose output rows are independent, followed by an activation in place.
class RowLayer : public Layer {
 public:
  RowLayer(const Op& op, const LayerShapes& shapes)
      : op_(op),
        in_(shapes.input),
        out_(shapes.output),
        active_(op.activation != Activation::kNone),
        finish_(conv_problem(op, shapes).desc, conv_problem(op, shapes).weights, nullptr,
                op.activation == Activation::kSigmoid) {}

  [[nodiscard]] std::string name() const override { return "plain"; }
  [[nodiscard]] size_t weight_bytes() const override { return 0; }
  [[nodiscard]] size_t scratch_bytes(int) const override { return 0; }
  void run(const float* input, const float*, float* output, int batch, void* scratch,
           const Parallel& parallel) const override {
    parallel(batch * out_.height, [&](int task, int) {
      const int image = task / out_.height, y = task % out_.height;
      run_row(input + size_t(image) * in_.height * in_.width * in_.channels,
              output + (size_t(image) * out_.height + y) * out_.width * out_.channels, y);
    });
    if (active_) finish_.run(output, nullptr, output, batch, scratch, parallel);
  }

 protected:
  /// input: the image; output: its row y.
  virtual void run_row(const float* input, float* output, int y) const = 0;

  const Op op_;
  const Shape in_, out_;

 private:
  bool active_;
  Pointwise finish_;
};

class Pooling final : public RowLayer {
 public:
  using RowLayer::RowLayer;

 private:
  void run_row(const float* input, float* output, int y) const override {
    for (int x = 0; x < out_.width; ++x)
      run_window(input, output + size_t(x) * out_.channels, y, x);
  }

  void run_window(const float* input, float* out, int y, int x) const {
    const bool max = op_.kind == OpKind::kMaxPool;
    const Range rows = inside(y, op_.stride_h, op_.pad_top, op_.kernel_h, in_.height);
    const Range cols = inside(x, op_.stride_w, op_.pad_left, op_.kernel_w, in_.width);
    std::fill_n(out, out_.channels, max ? -std::numeric_limits<float>::infinity() : 0.f);
    for (int iy = rows.begin; iy < rows.end; ++iy) {
      for (int ix = cols.begin; ix < cols.end; ++ix) {
        const float* in = input + (size_t(iy) * in_.width + ix) * in_.channels;
        max ? take_max(in, out, in_.channels) : take_sum(in, out, in_.channels);
      }
    }
    if (max) return;
    const int count = op_.count_include_pad ? padded_count(op_, in_, y, x)
                                            : (rows.end - rows.begin) * (cols.end - cols.begin);
    for (int c = 0; c < out_.channels; ++c) out[c] /= static_cast<float>(count);
  }
};

class Upsampling final : public RowLayer {
 public:
  using RowLayer::RowLayer;

 private:
  void run_row(const float* input, float* output, int y) const override {
    const float* row = input + size_t(y / 2) * in_.width * in_.channels;
    for (int x = 0; x < out_.width; ++x)
      std::copy_n(row + size_t(x / 2) * in_.channels, in_.channels,
                  output + size_t(x) * out_.channels);
  }
};

}  // namespace

std::unique_ptr<Layer> make_pooling(const Op& op, const LayerShapes& shapes) {
  return std::make_unique<Pooling>(op, shapes);
}

std::unique_ptr<Layer> make_max_pool_2x2(const Shape& input, int max_batch) {
  Op op;
  op.kind = OpKind::kMaxPool;
  op.kernel_h = op.kernel_w = op.stride_h = op.stride_w = 2;
  return make_pooling(op, {input, {input.channels, input.height / 2, input.width / 2}, max_batch});
}

std::unique_ptr<Layer> make_upsampling(const Op& op, const LayerShapes& shapes) {
  return std::make_unique<Upsampling>(op, shapes);
}

}  // namespace face::cpu
