// SPDX-License-Identifier: MIT
// kernels/cpu/conv_winograd.cpp - plans Winograd convolutions: weights transformed once, tiles in
// blocks that stay in the second-level cache.
#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cpu/conv_layer.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

/// Rows of G for `outputs` outputs: one row of three per interpolation point.
std::vector<std::array<double, 3>> weight_transform(int outputs) {
  std::vector<double> points{0.0};
  if (outputs == 2) points.insert(points.end(), {1.0, -1.0});
  if (outputs == 4) points.insert(points.end(), {kPointA, -kPointA, kPointB, -kPointB});
  if (outputs == 6)
    points.insert(points.end(), {kPoint6A, -kPoint6A, kPoint6B, -kPoint6B, kPoint6C, -kPoint6C});
  std::vector<std::array<double, 3>> rows;
  for (const double p : points) {
    double scale = 1;
    for (const double q : points) scale *= p == q ? 1 : p - q;
    rows.push_back({1 / scale, p / scale, p * p / scale});
  }
  rows.push_back({0, 0, 1});
  return rows;
}

struct TileShape {
  int height, width;
};
TileShape tile_shape(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::kWinograd2x2:
      return {2, 2};
    case ConvAlgorithm::kWinograd2x4:
      return {2, 4};
    case ConvAlgorithm::kWinograd4x4:
      return {4, 4};
    default:
      return {6, 6};
  }
}
const WinogradKernels& winograd_kernels(const ConvKernels& kernels, ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::kWinograd2x2:
      return kernels.winograd.tile2x2;
    case ConvAlgorithm::kWinograd2x4:
      return kernels.winograd.tile2x4;
    case ConvAlgorithm::kWinograd4x4:
      return kernels.winograd.tile4x4;
    default:
      return kernels.winograd.tile6x6;
  }
}

/// Transformed tiles should take this little cache, so that most stay near the first level ...
constexpr size_t kCacheFloats = 40 * 1024;
/// ... unless the weights are big: a block of tiles has to be worth streaming them once.
constexpr size_t kFloatsPerTile = 8 * 1024;

class WinogradConv final : public Conv {
 public:
  WinogradConv(ConvAlgorithm algorithm, ConvIsa isa, const ConvDesc& desc,
               const ConvWeights& weights, ConvPrecision precision);

  std::string name() const override {
    return std::string(to_string(algorithm_)) + (bf16_ ? "_bf16" : "") +
           (desc_.max_pool ? "_pool:" : ":") + to_string(isa_) + map_suffix(desc_);
  }
  size_t weight_bytes() const override { return packed_words_ * sizeof(float); }
  size_t scratch_bytes(int threads) const override;
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override;

 private:
  /// How one run is cut. Shared: all threads transform a block of tiles, then each multiplies its
  /// own output channels, so that big weights are read once. Otherwise each task takes a block of
  /// tiles all the way.
  struct Plan {
    bool shared = false;
    int tiles = 0;        // of all images
    int blocks = 0;       // of tiles
    int capacity = 0;     // tiles of the largest block
    size_t v_stride = 0;  // floats between points
    size_t m_stride = 0;
    size_t v_floats = 0;
    size_t m_floats = 0;
  };
  [[nodiscard]] Plan plan(int batch, int threads) const;
  [[nodiscard]] Plan sized(Plan plan) const;
  [[nodiscard]] size_t scratch_floats(const Plan& plan, int threads) const;

  void pack(const float* weights);
  void pack_block(const LaneBlock& block, const float* weights, float* packed) const;
  [[nodiscard]] WinogradInput input_args(const float* input, const Plan& plan, float* v) const;
  void multiply(const Plan& plan, size_t block, int tile_begin, int tile_end, const float* v,
                float* m, float* output, const Epilogue& epilogue) const;
  void run_private(const Plan& plan, const float* input, float* output, const Epilogue& epilogue,
                   float* scratch, const Parallel& parallel) const;
  void run_shared(const Plan& plan, const float* input, float* output, const Epilogue& epilogue,
                  float* scratch, const Parallel& parallel) const;

  ConvAlgorithm algorithm_;
  ConvIsa isa_;
  bool bf16_;
  ConvDesc desc_;
  int depth_;  // words of one tile or weight: see kWinogradDepthBlock
  TileShape tile_;
  const WinogradKernels* kernels_;
  EpilogueTables epilogue_;
  std::vector<LaneBlock> blocks_;
  std::vector<size_t> block_offset_;
  int points_, tiles_x_, tiles_per_image_;
  int max_lanes_ = 0;
  size_t packed_words_ = 0;
  AlignedFloats packed_;  // [block][point][word][lane]
  AlignedFloats zeros_;   // (in_channels)
};

WinogradConv::WinogradConv(ConvAlgorithm algorithm, ConvIsa isa, const ConvDesc& desc,
                           const ConvWeights& weights, ConvPrecision precision)
    : algorithm_(algorithm),
      isa_(isa),
      bf16_(precision == ConvPrecision::kBf16),
      desc_(desc),
      depth_(bf16_ ? ceil_div(desc.in_channels, 2) : desc.in_channels),
      tile_(tile_shape(algorithm)),
      kernels_(&winograd_kernels(conv_kernels(isa, precision), algorithm)),
      epilogue_(desc, weights),
      blocks_(lane_blocks(conv_kernels(isa, precision).lanes, desc.out_channels)),
      points_((tile_.height + 2) * (tile_.width + 2)),
      tiles_x_(ceil_div(desc.out_width, tile_.width)),
      tiles_per_image_(tiles_x_ * ceil_div(desc.out_height, tile_.height)),
      zeros_(aligned_zeros(desc.in_channels)) {
  for (const LaneBlock& block : blocks_) {
    block_offset_.push_back(packed_words_);
    packed_words_ += static_cast<size_t>(points_) * depth_ * block.lanes;
    max_lanes_ = std::max(max_lanes_, block.lanes);
  }
  pack(weights.weights);
}

// ---- weights

void WinogradConv::pack(const float* weights) {
  packed_ = aligned_zeros(packed_words_);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    pack_block(blocks_[i], weights, packed_.get() + block_offset_[i]);
  }
}

void WinogradConv::pack_block(const LaneBlock& block, const float* weights, float* packed) const {
  const auto rows = weight_transform(tile_.height), cols = weight_transform(tile_.width);
  const size_t point_stride = static_cast<size_t>(depth_) * block.lanes;
  for (int lane = 0; lane < block.channels; ++lane) {
    const float* kernels =
        weights + static_cast<size_t>(block.channel_begin + lane) * desc_.in_channels * 9;
    for (int c = 0; c < desc_.in_channels; ++c) {
      const float* g = kernels + static_cast<size_t>(c) * 9;
      float* out = packed + lane;
      for (const auto& row : rows) {
        double t[3];
        for (int j = 0; j < 3; ++j) t[j] = row[0] * g[j] + row[1] * g[3 + j] + row[2] * g[6 + j];
        for (const auto& col : cols) {
          put_weight(out, block.lanes, c, bf16_,
                     static_cast<float>(t[0] * col[0] + t[1] * col[1] + t[2] * col[2]));
          out += point_stride;
        }
      }
    }
  }
}

// ---- plan

WinogradConv::Plan WinogradConv::sized(Plan plan) const {
  plan.blocks = ceil_div(plan.tiles, plan.capacity);
  plan.capacity = ceil_div(plan.tiles, plan.blocks);
  const size_t depth =
      static_cast<size_t>(ceil_div(depth_, kWinogradDepthBlock)) * kWinogradDepthBlock;
  plan.v_stride = round_to_odd_lines(depth * plan.capacity);
  plan.m_stride = round_to_odd_lines(static_cast<size_t>(plan.capacity) * max_lanes_);
  plan.v_floats = plan.v_stride * points_;
  plan.m_floats = plan.m_stride * points_;
  return plan;
}

WinogradConv::Plan WinogradConv::plan(int batch, int threads) const {
  constexpr int kUnit = 12, kMost = 96;  // tiles; every micro-kernel divides 12
  const size_t per_tile = static_cast<size_t>(points_) * (depth_ + max_lanes_);
  const size_t wanted = std::max(kCacheFloats / per_tile, packed_words_ / kFloatsPerTile);
  Plan p;
  p.tiles = tiles_per_image_ * batch;
  p.capacity = std::clamp(static_cast<int>(wanted) / kUnit * kUnit, kUnit, kMost);
  p.shared = threads > 1 && p.tiles < 2 * threads * p.capacity;
  if (p.shared) {
    p.capacity = kMost;
  } else if (threads > 1) {
    const int blocks = ceil_div(p.tiles, p.capacity);
    if (blocks < 4 * threads) p.capacity = ceil_div(p.tiles, ceil_div(blocks, threads) * threads);
  }
  return sized(p);
}

size_t WinogradConv::scratch_floats(const Plan& p, int threads) const {
  return p.shared ? p.v_floats + threads * p.m_floats : threads * (p.v_floats + p.m_floats);
}

size_t WinogradConv::scratch_bytes(int threads) const {
  size_t most = 0;
  for (int batch = 1; batch <= desc_.max_batch; ++batch) {
    most = std::max(most, scratch_floats(plan(batch, threads), threads));
  }
  return most * sizeof(float);
}

// ---- run

WinogradInput WinogradConv::input_args(const float* input, const Plan& p, float* v) const {
  WinogradInput a;
  a.input = input;
  a.bf16_input = desc_.bf16_input;
  a.zeros = zeros_.get();
  a.height = desc_.in_height;
  a.width = desc_.in_width;
  a.channels = desc_.in_channels;
  a.tiles_x = tiles_x_;
  a.tiles_per_image = tiles_per_image_;
  a.channel_end = desc_.in_channels;
  a.tile_capacity = p.capacity;
  a.point_stride = p.v_stride;
  a.v = v;
  return a;
}

void WinogradConv::multiply(const Plan& p, size_t block, int tile_begin, int tile_end,
                            const float* v, float* m, float* output,
                            const Epilogue& epilogue) const {
  const LaneBlock& lanes = blocks_[block];
  WinogradGemm gemm;
  gemm.v = v;
  gemm.v_point_stride = p.v_stride;
  gemm.tile_capacity = p.capacity;
  gemm.tiles = tile_end - tile_begin;
  gemm.depth = depth_;
  gemm.u = packed_.get() + block_offset_[block];
  gemm.vectors = lanes.vectors;
  gemm.half = lanes.half;
  gemm.m = m;
  gemm.m_point_stride = p.m_stride;
  kernels_->gemm(gemm);
  WinogradOutput out;
  out.m = m;
  out.point_stride = p.m_stride;
  out.lanes = lanes.lanes;
  out.tiles_x = tiles_x_;
  out.tiles_per_image = tiles_per_image_;
  out.tile_begin = tile_begin;
  out.tile_end = tile_end;
  out.channel_begin = lanes.channel_begin;
  out.channels = lanes.channels;
  out.output = output;
  out.epilogue = epilogue;
  kernels_->output(out);
}

void WinogradConv::run_private(const Plan& p, const float* input, float* output,
                               const Epilogue& epilogue, float* scratch,
                               const Parallel& parallel) const {
  parallel(p.blocks, [&](int task, int worker) {
    float* v = scratch + worker * (p.v_floats + p.m_floats);
    WinogradInput a = input_args(input, p, v);
    a.tile_begin = a.tile_origin = task * p.capacity;
    a.tile_end = std::min(p.tiles, a.tile_begin + p.capacity);
    kernels_->input(a);
    for (size_t block = 0; block < blocks_.size(); ++block) {
      multiply(p, block, a.tile_begin, a.tile_end, v, v + p.v_floats, output, epilogue);
    }
  });
}

void WinogradConv::run_shared(const Plan& p, const float* input, float* output,
                              const Epilogue& epilogue, float* scratch,
                              const Parallel& parallel) const {
  float* v = scratch;
  const int depth_tasks = ceil_div(desc_.in_channels, kWinogradChannels);
  for (int origin = 0; origin < p.tiles; origin += p.capacity) {
    const int end = std::min(p.tiles, origin + p.capacity);
    parallel(depth_tasks, [&](int task, int) {
      WinogradInput a = input_args(input, p, v);
      a.tile_begin = a.tile_origin = origin;
      a.tile_end = end;
      a.channel_begin = task * kWinogradChannels;
      a.channel_end = std::min(desc_.in_channels, a.channel_begin + kWinogradChannels);
      kernels_->input(a);
    });
    parallel(static_cast<int>(blocks_.size()), [&](int task, int worker) {
      float* m = scratch + p.v_floats + worker * p.m_floats;
      multiply(p, task, origin, end, v, m, output, epilogue);
    });
  }
}

void WinogradConv::run(const float* input, const float* addend, float* output, int batch,
                       void* scratch, const Parallel& parallel) const {
  const Plan p = plan(batch, parallel.threads);
  const Epilogue epilogue = epilogue_.with_addend(addend);
  auto* floats = static_cast<float*>(scratch);
  (p.shared ? run_shared(p, input, output, epilogue, floats, parallel)
            : run_private(p, input, output, epilogue, floats, parallel));
}

}  // namespace

std::unique_ptr<Conv> make_winograd(ConvAlgorithm algorithm, ConvIsa isa, const ConvDesc& desc,
                                    const ConvWeights& weights, ConvPrecision precision) {
  return std::make_unique<WinogradConv>(algorithm, isa, desc, weights, precision);
}

}  // namespace face::cpu
