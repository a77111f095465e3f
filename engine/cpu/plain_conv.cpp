// SPDX-License-Identifier: MIT
#include "engine/cpu/plain_conv.h"

#include <algorithm>

#include "engine/cpu/pointwise.h"

namespace face::cpu {
namespace {

class PlainConv final : public Layer {
 public:
  explicit PlainConv(const ConvProblem& problem)
      : d_(problem.desc),
        stride_w_(problem.stride_w),
        group_in_(d_.in_channels / d_.groups),
        group_out_(d_.out_channels / d_.groups),
        finish_(d_, problem.weights, nullptr, false) {
    pack(problem.weights.weights);
  }

  [[nodiscard]] std::string name() const override { return "plain"; }
  [[nodiscard]] size_t weight_bytes() const override { return packed_.size() * sizeof(float); }
  [[nodiscard]] size_t scratch_bytes(int) const override {
    return size_t(d_.max_batch) * d_.out_height * d_.out_width * d_.out_channels * sizeof(float);
  }
  /// Sums go to the scratch first: the addend may lie in the output.
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override {
    auto* sums = static_cast<float*>(scratch);
    parallel(batch * d_.out_height, [&](int task, int) {
      const int image = task / d_.out_height, y = task % d_.out_height;
      const float* in = input + size_t(image) * d_.in_height * d_.in_width * d_.in_channels;
      for (int x = 0; x < d_.out_width; ++x)
        run_pixel(in, sums + (size_t(task) * d_.out_width + x) * d_.out_channels, y, x);
    });
    finish_.run(sums, addend, output, batch, nullptr, parallel);
  }

 private:
  /// To [kernel row][kernel column][input channel of the group][output channel].
  void pack(const float* weights) {
    const int taps = d_.kernel_h * d_.kernel_w;
    packed_.resize(size_t(d_.out_channels) * group_in_ * taps);
    for (int o = 0; o < d_.out_channels; ++o)
      for (int i = 0; i < group_in_; ++i)
        for (int t = 0; t < taps; ++t)
          packed_[(size_t(t) * group_in_ + i) * d_.out_channels + o] =
              weights[(size_t(o) * group_in_ + i) * taps + t];
  }

  void run_pixel(const float* image, float* sums, int y, int x) const {
    std::fill_n(sums, d_.out_channels, 0.f);
    for (int ky = 0; ky < d_.kernel_h; ++ky) {
      const int iy = y * d_.stride - d_.pad_top + ky;
      if (iy < 0 || iy >= d_.in_height) continue;
      for (int kx = 0; kx < d_.kernel_w; ++kx) {
        const int ix = x * stride_w_ - d_.pad_left + kx;
        if (ix < 0 || ix >= d_.in_width) continue;
        add_tap(image + (size_t(iy) * d_.in_width + ix) * d_.in_channels,
                &packed_[size_t(ky * d_.kernel_w + kx) * group_in_ * d_.out_channels], sums);
      }
    }
  }

  void add_tap(const float* pixel, const float* weights, float* sums) const {
    for (int i = 0; i < group_in_; ++i) {
      for (int g = 0; g < d_.groups; ++g) {
        const float value = pixel[g * group_in_ + i];
        const size_t first = size_t(g) * group_out_;
        for (size_t o = first; o < first + group_out_; ++o)
          sums[o] += value * weights[size_t(i) * d_.out_channels + o];
      }
    }
  }

  ConvDesc d_;
  int stride_w_;
  int group_in_, group_out_;
  Pointwise finish_;
  std::vector<float> packed_;
};

}  // namespace

std::unique_ptr<Layer> make_plain_conv(const ConvProblem& problem) {
  return std::make_unique<PlainConv>(problem);
}

}  // namespace face::cpu
