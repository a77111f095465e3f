// SPDX-License-Identifier: MIT
// kernels/cpu/conv_direct.cpp - plans direct convolutions: a task is a block of output pixels and
// some blocks of output channels.
//
// In NHWC the kernel_w pixels under one row of a window are one contiguous run, so a window is
// kernel_h pointers. Runs that leave the image point to zeros (above, below) or to a copy with
// zeros in place of the missing pixels (left, right). For bfloat16 a task makes words of its
// windows first, once for all its channels; a map of bfloat16 consists of words. Behind a depthwise
// stage, windows are pixels that the task computes first.
#include <algorithm>

#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_layer.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

/// Most pixels of a task. Their windows should stay in the second-level cache, and each reads all
/// weights.
int most_pixels(int window_floats) {
  constexpr int kLeast = 48, kMost = 112, kCacheFloats = 32 * 1024;
  return std::clamp(kCacheFloats / window_floats, kLeast, kMost);
}

/// Pixels of a task: about as many for each, and for each thread the same number of few tasks.
int task_pixels(size_t total, int most, int threads) {
  const size_t tasks = (total + most - 1) / most;
  const size_t even = (tasks + threads - 1) / threads * threads;
  return static_cast<int>((total + even - 1) / even);
}

/// Likewise behind a stage, which prefers whole rows, or equal parts of them.
int stage_pixels(size_t total, int width, int most, int threads) {
  constexpr int kShortRow = 14;
  for (int parts = ceil_div(width, most); width / parts >= kShortRow; ++parts) {
    if (parts > 1 && width % parts == 0) return width / parts;
    if (parts > 1) continue;
    const size_t rows = total / width;
    for (int count = most / width; count > 0; --count)
      if (count == 1 || rows % (static_cast<size_t>(count) * threads) == 0) return count * width;
  }
  return task_pixels(total, most, threads);
}

class DirectConv final : public Conv {
 public:
  /// `stage` may be null.
  DirectConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights, ConvPrecision precision,
             std::unique_ptr<DepthwiseStage> stage);

  std::string name() const override {
    return std::string(stage_ != nullptr ? "depthwise_direct" : "direct") +
           (bf16_ ? "_bf16:" : ":") + to_string(isa_) + map_suffix(desc_);
  }
  size_t weight_bytes() const override {
    return packed_words_ * sizeof(float) + (stage_ != nullptr ? stage_->weight_bytes() : 0);
  }
  size_t scratch_bytes(int threads) const override {
    return threads * worker_floats() * sizeof(float);
  }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override;

 private:
  /// How a run is cut: blocks of pixels, some of them a task, perhaps for a part of the channels.
  struct Split {
    int pixels = 0, blocks = 0, blocks_of_task = 1, parts = 1;
  };

  void pack(const float* weights);
  [[nodiscard]] size_t worker_floats() const {
    return table_floats_ + source_floats_ + sum_floats_ + copy_floats_ + word_floats_;
  }
  void prepare(const float* input, const Epilogue& epilogue, float* own, DirectBlock& a) const;
  void run_blocks(const float* input, float* own, size_t block_begin, size_t block_end,
                  DirectBlock& a) const;
  [[nodiscard]] Split split(size_t pixels, int threads) const;
  void find_windows(const float* input, size_t begin, int pixels, const float** windows,
                    float* copies) const;
  void stage_windows(const float* input, size_t begin, int pixels, const float** windows,
                     float* copies) const;
  const float* window_row(const float* image, int y, int x, float*& copies) const;

  ConvIsa isa_;
  ConvDesc desc_;
  const ConvKernels* kernels_;
  EpilogueTables epilogue_;
  std::unique_ptr<DepthwiseStage> stage_;
  std::vector<LaneBlock> blocks_;
  std::vector<size_t> block_offset_;
  bool bf16_;
  bool makes_words_;   // of its windows
  bool is_pointwise_;  // windows are the pixels themselves, in order
  int pixel_;          // floats of the input's pixels, or words if it is bfloat16
  int run_;            // likewise, under one kernel row
  int run_words_;
  int most_pixels_;  // of a task
  size_t packed_words_ = 0;
  // A worker's scratch.
  size_t table_floats_ = 0, source_floats_ = 0, sum_floats_ = 0, copy_floats_ = 0, word_floats_ = 0;
  AlignedFloats packed_;  // [block][row][word of the run][lane]
  AlignedFloats zeros_;   // (run)
};

/// Output columns whose windows leave the image on the left or right.
int border_columns(const ConvDesc& d) {
  int count = 0;
  for (int x = 0; x < d.out_width; ++x) {
    const int x0 = x * d.stride - d.pad_left;
    if (x0 < 0 || x0 + d.kernel_w > d.in_width) ++count;
  }
  return count;
}

DirectConv::DirectConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights,
                       ConvPrecision precision, std::unique_ptr<DepthwiseStage> stage)
    : isa_(isa),
      desc_(desc),
      kernels_(&conv_kernels(isa, precision)),
      epilogue_(desc, weights),
      stage_(std::move(stage)),
      blocks_(lane_blocks(kernels_->lanes, desc.out_channels)),
      bf16_(precision == ConvPrecision::kBf16),
      makes_words_(bf16_ && !desc.bf16_input),
      is_pointwise_(desc.kernel_h == 1 && desc.kernel_w == 1 && desc.stride == 1 &&
                    desc.pad_top == 0 && desc.pad_left == 0 && desc.out_height == desc.in_height &&
                    desc.out_width == desc.in_width),
      pixel_(desc.bf16_input ? desc.in_channels / 2 : desc.in_channels),
      run_(desc.kernel_w * pixel_),
      run_words_(bf16_ ? ceil_div(desc.kernel_w * desc.in_channels, 2) : run_),
      most_pixels_(most_pixels(desc.kernel_h * run_words_)),
      zeros_(aligned_zeros(run_)) {
  int max_lanes = 0;
  for (const LaneBlock& block : blocks_) {
    block_offset_.push_back(packed_words_);
    packed_words_ += static_cast<size_t>(desc.kernel_h) * run_words_ * block.lanes;
    max_lanes = std::max(max_lanes, block.lanes);
  }
  const size_t rows = static_cast<size_t>(most_pixels_) * desc.kernel_h;
  table_floats_ = round_to_line(rows * sizeof(float*) / sizeof(float));
  source_floats_ = round_to_line(most_pixels_ * sizeof(PixelSources) / sizeof(float));
  sum_floats_ = round_to_line(static_cast<size_t>(most_pixels_) * max_lanes);
  const int border_pixels =
      std::min(most_pixels_, border_columns(desc) * (ceil_div(most_pixels_, desc.out_width) + 1));
  const int copied_pixels = stage_ != nullptr ? most_pixels_ : border_pixels;
  copy_floats_ = round_to_line(static_cast<size_t>(copied_pixels) * desc.kernel_h * run_);
  if (makes_words_) word_floats_ = round_to_line(rows * run_words_);
  pack(weights.weights);
}

void DirectConv::pack(const float* weights) {
  packed_ = aligned_zeros(packed_words_);
  const int taps = desc_.kernel_h * desc_.kernel_w;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const LaneBlock& block = blocks_[b];
    float* const to = packed_.get() + block_offset_[b];
    for (int lane = 0; lane < block.channels; ++lane) {
      const float* from =
          weights + static_cast<size_t>(block.channel_begin + lane) * desc_.in_channels * taps;
      for (int tap = 0; tap < taps; ++tap) {
        const int row = tap / desc_.kernel_w, first = tap % desc_.kernel_w * desc_.in_channels;
        float* words = to + static_cast<size_t>(row) * run_words_ * block.lanes + lane;
        for (int c = 0; c < desc_.in_channels; ++c)
          put_weight(words, block.lanes, first + c, bf16_,
                     from[static_cast<size_t>(c) * taps + tap]);
      }
    }
  }
}

/// Where the run begins that starts at pixel (y, x) of `image`, either of which may be outside.
const float* DirectConv::window_row(const float* image, int y, int x, float*& copies) const {
  if (y < 0 || y >= desc_.in_height) return zeros_.get();
  const float* row = image + static_cast<size_t>(y) * desc_.in_width * pixel_;
  const int begin = std::max(x, 0), end = std::min(x + desc_.kernel_w, desc_.in_width);
  if (end - begin == desc_.kernel_w) return row + static_cast<size_t>(x) * pixel_;
  float* copy = copies;
  copies += run_;
  std::fill_n(copy, run_, 0.f);
  if (begin < end) {
    std::copy_n(row + static_cast<size_t>(begin) * pixel_,
                static_cast<size_t>(end - begin) * pixel_,
                copy + static_cast<size_t>(begin - x) * pixel_);
  }
  return copy;
}

void DirectConv::find_windows(const float* input, size_t begin, int pixels, const float** windows,
                              float* copies) const {
  if (is_pointwise_) {
    for (int i = 0; i < pixels; ++i) windows[i] = input + (begin + i) * pixel_;
    return;
  }
  const size_t row = static_cast<size_t>(desc_.in_width) * pixel_;
  const size_t out_image = static_cast<size_t>(desc_.out_height) * desc_.out_width;
  const float* image = input + begin / out_image * row * desc_.in_height;
  int y = static_cast<int>(begin % out_image) / desc_.out_width;
  int x = static_cast<int>(begin % out_image) % desc_.out_width;
  for (int i = 0; i < pixels; ++i) {
    const int y0 = y * desc_.stride - desc_.pad_top, x0 = x * desc_.stride - desc_.pad_left;
    if (y0 >= 0 && x0 >= 0 && y0 + desc_.kernel_h <= desc_.in_height &&
        x0 + desc_.kernel_w <= desc_.in_width) {
      const float* window = image + y0 * row + static_cast<size_t>(x0) * pixel_;
      for (int ky = 0; ky < desc_.kernel_h; ++ky, window += row) windows[ky * pixels + i] = window;
    } else {
      for (int ky = 0; ky < desc_.kernel_h; ++ky) {
        windows[ky * pixels + i] = window_row(image, y0 + ky, x0, copies);
      }
    }
    if (++x < desc_.out_width) continue;
    x = 0;
    if (++y < desc_.out_height) continue;
    y = 0;
    image += row * desc_.in_height;
  }
}

void DirectConv::stage_windows(const float* input, size_t begin, int pixels, const float** windows,
                               float* copies) const {
  stage_->run(input, nullptr, begin, pixels, copies);
  for (int i = 0; i < pixels; ++i) windows[i] = copies + static_cast<size_t>(i) * run_;
}

/// Windows and sources of the pixels of `a`, in a worker's scratch.
void DirectConv::prepare(const float* input, const Epilogue& epilogue, float* own,
                         DirectBlock& a) const {
  const DirectKernels& kernels = kernels_->direct;
  auto** windows = reinterpret_cast<const float**>(own);
  auto* sources = reinterpret_cast<PixelSources*>(own += table_floats_);
  a.sums = own += source_floats_;
  float* copies = own + sum_floats_;
  if (stage_ != nullptr) {
    stage_windows(input, a.pixel_begin, a.pixels, windows, copies);
  } else {
    find_windows(input, a.pixel_begin, a.pixels, windows, copies);
  }
  if (makes_words_)
    kernels.words({windows, a.pixels * desc_.kernel_h, run_, copies + copy_floats_});
  a.windows = windows;
  a.sources = kernels.sources(epilogue, a.pixel_begin, a.pixels, sources);
}

/// Output pixels of `a`, channel blocks [block_begin, block_end).
void DirectConv::run_blocks(const float* input, float* own, size_t block_begin, size_t block_end,
                            DirectBlock& a) const {
  prepare(input, a.epilogue, own, a);
  for (size_t b = block_begin; b < block_end; ++b) {
    a.weights = packed_.get() + block_offset_[b];
    a.vectors = blocks_[b].vectors;
    a.half = blocks_[b].half;
    a.lanes = blocks_[b].lanes;
    a.channel_begin = blocks_[b].channel_begin;
    a.channels = blocks_[b].channels;
    kernels_->direct.block(a);
  }
}

DirectConv::Split DirectConv::split(size_t pixels, int threads) const {
  constexpr int kTasks = 32;  // of a thread, at most: each has its price
  Split s;
  s.pixels = stage_ != nullptr ? stage_pixels(pixels, desc_.out_width, most_pixels_, threads)
                               : task_pixels(pixels, most_pixels_, threads);
  s.blocks = static_cast<int>((pixels + s.pixels - 1) / s.pixels);
  const int wanted_parts = stage_ != nullptr ? 1 : ceil_div(3 * threads, s.blocks);
  s.parts = std::clamp(wanted_parts, 1, static_cast<int>(blocks_.size()));
  s.blocks_of_task = ceil_div(s.blocks, kTasks * threads);
  return s;
}

void DirectConv::run(const float* input, const float* addend, float* output, int batch,
                     void* scratch, const Parallel& parallel) const {
  const size_t total = static_cast<size_t>(batch) * desc_.out_height * desc_.out_width;
  const Split s = split(total, parallel.threads);
  DirectBlock common;
  common.rows = desc_.kernel_h;
  common.run = run_words_;
  common.output = output;
  common.epilogue = epilogue_.with_addend(addend);
  parallel(ceil_div(s.blocks, s.blocks_of_task) * s.parts, [&](int task, int worker) {
    DirectBlock a = common;
    const size_t part = task % s.parts, channel_blocks = blocks_.size();
    const int first = task / s.parts * s.blocks_of_task;
    for (int i = first; i < std::min(first + s.blocks_of_task, s.blocks); ++i) {
      a.pixel_begin = static_cast<size_t>(i) * s.pixels;
      a.pixels = static_cast<int>(std::min<size_t>(s.pixels, total - a.pixel_begin));
      run_blocks(input, static_cast<float*>(scratch) + worker * worker_floats(),
                 channel_blocks * part / s.parts, channel_blocks * (part + 1) / s.parts, a);
    }
  });
}

}  // namespace

std::unique_ptr<Conv> make_direct(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights,
                                  ConvPrecision precision) {
  return std::make_unique<DirectConv>(isa, desc, weights, precision, nullptr);
}

std::unique_ptr<Conv> make_direct(ConvIsa isa, const ConvDesc& stage,
                                  const ConvWeights& stage_weights, const ConvDesc& desc,
                                  const ConvWeights& weights, ConvPrecision precision) {
  return std::make_unique<DirectConv>(
      isa, desc, weights, precision,
      std::make_unique<DepthwiseStage>(conv_kernels(isa, precision), stage, stage_weights));
}

}  // namespace face::cpu
