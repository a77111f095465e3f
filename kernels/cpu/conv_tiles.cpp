// SPDX-License-Identifier: MIT
// kernels/cpu/conv_tiles.cpp - plans direct convolutions on a matrix unit, in bfloat16.
//
// A task is a band of output rows and some tiles of output channels. It copies the input rows that
// the band reads, rounded and with the zeros around them, so that all windows of the band lie one
// step after the other (conv_tile_layout.h).
//
// Behind a depthwise stage, the rows are those that the task computes first. A 2x2 max-pool takes
// the band's outputs of some channels from the task's scratch.
//
// Numbers that are sums of two (kBf16x3) lie in two planes of rows, and windows go through the
// first plane, the second, and the first again, where they meet what rounding left of the weights.
#include <algorithm>

#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_layer.h"
#include "kernels/cpu/conv_memory.h"
#include "kernels/cpu/conv_tile_layout.h"

namespace face::cpu {
namespace {

class TilesConv final : public Conv {
 public:
  /// `stage` may be null.
  TilesConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights, ConvPrecision precision,
            std::unique_ptr<DepthwiseStage> stage);

  std::string name() const override {
    return std::string(stage_ != nullptr ? "depthwise_tiles" : "tiles") +
           (desc_.max_pool ? "_pool" : "") + (planes_ > 1 ? "_bf16x3:" : "_bf16:") +
           to_string(isa_) + map_suffix(desc_);
  }
  size_t weight_bytes() const override {
    return own_weight_bytes() + (stage_ != nullptr ? stage_->weight_bytes() : 0);
  }
  size_t scratch_bytes(int threads) const override {
    return threads * worker_floats() * sizeof(float);
  }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override;

 private:
  /// How a run is cut: into bands of output rows, each of them into parts of the channels.
  struct Split {
    int rows = 0, bands = 0, band_rows = 0, parts = 1;
  };
  /// A worker's scratch.
  struct Scratch {
    uint16_t* rows;
    int* depth;
    int* places;
    PixelSources* sources;
    float* sums;
    float* map;  // behind a stage one row of its outputs; before a pool the band's
  };
  struct Band {
    int begin, rows;
  };
  struct Tiles {
    int begin, end;
  };

  void pack(const float* weights);
  [[nodiscard]] size_t own_weight_bytes() const {
    return static_cast<size_t>(tiles_) * chunks_ * kTileWords * sizeof(float);
  }
  [[nodiscard]] size_t worker_floats() const {
    return row_floats_ + depth_floats_ + place_floats_ + source_floats_ + kMostTiles * kTileWords +
           map_floats_;
  }
  [[nodiscard]] Scratch scratch_of(void* scratch, int worker) const;
  [[nodiscard]] int rows_of(int batch) const {
    return (batch - 1) * layout_.image_rows + desc_.out_height;
  }
  [[nodiscard]] Split split(int batch, int threads) const;
  void copy_row(const float* input, int batch, int phase, int row, const Scratch& own, uint16_t* to,
                uint16_t* rest) const;
  void copy_rows(const float* input, int batch, const Band& band, const Scratch& own) const;
  void find_depth(const Band& band, int* depth) const;
  [[nodiscard]] const PixelSources* find_places(const Band& band, const Epilogue& epilogue,
                                                const Scratch& own) const;
  void choose_tiles(int tile, int end, TileBlock& a) const;
  void run_blocks(TileBlock& a, const Tiles& tiles) const;
  void run_pooled(TileBlock& a, const Tiles& tiles, const Band& band, float* output) const;
  void pool(const Band& band, const TileBlock& block, float* output) const;

  ConvIsa isa_;
  ConvDesc desc_;
  const TileKernels* kernels_;
  EpilogueTables epilogue_;
  std::unique_ptr<DepthwiseStage> stage_;
  TileLayout layout_;
  int planes_;       // of rows
  int passes_;       // of a window through them
  int pixel_;        // numbers from copied pixel to pixel
  int row_numbers_;  // of a copied row
  int row_chunks_;   // of a window under one kernel row
  int chunks_;
  int tiles_;      // of output channels
  int most_rows_;  // of a band
  size_t row_floats_, depth_floats_, place_floats_, source_floats_, map_floats_ = 0;
  AlignedFloats packed_;  // [tile][chunk][kTileRows][kTileChannels] words
};

/// Output rows of a band whose copied rows, of `row_bytes` for all phases, stay in a part of the
/// second-level cache; a larger part if the weights are large, for each band reads all of them.
int most_band_rows(const TileLayout& layout, size_t row_bytes, size_t weight_bytes) {
  constexpr size_t kLeastBytes = 256 << 10, kMostBytes = 1 << 20;
  const size_t bytes = std::clamp(weight_bytes / 2, kLeastBytes, kMostBytes);
  return std::max(1, static_cast<int>(bytes / row_bytes) - layout.above - layout.below);
}

constexpr int even(int n) { return n + n % 2; }

/// Numbers from copied pixel to pixel, of `numbers` each: a multiple of a cache line, so that no
/// row of a tile crosses one, unless the zeros made windows much longer.
int padded_pixel(int numbers, int kernel_w) {
  const int padded = ceil_div(numbers, kTileDepth) * kTileDepth;
  const int chunks = ceil_div(kernel_w * numbers, kTileDepth);
  return kernel_w * padded / kTileDepth <= chunks + chunks / 7 ? padded : numbers;
}

TilesConv::TilesConv(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights,
                     ConvPrecision precision, std::unique_ptr<DepthwiseStage> stage)
    : isa_(isa),
      desc_(desc),
      kernels_(&conv_tile_kernels(isa)),
      epilogue_(desc, weights),
      stage_(std::move(stage)),
      layout_(desc),
      planes_(precision == ConvPrecision::kBf16x3 ? 2 : 1),
      passes_(precision == ConvPrecision::kBf16x3 ? 3 : 1),
      pixel_(padded_pixel(desc.in_channels, desc.kernel_w)),
      row_numbers_(layout_.pitch * pixel_),
      row_chunks_(ceil_div(desc.kernel_w * pixel_, kTileDepth)),
      chunks_(desc.kernel_h * row_chunks_ * passes_),
      tiles_(ceil_div(desc.out_channels, kTileChannels)) {
  const size_t row_bytes = size_t{2} * planes_ * layout_.phases * row_numbers_;
  most_rows_ =
      std::min(most_band_rows(layout_, row_bytes, own_weight_bytes()), rows_of(desc.max_batch));
  if (desc.max_pool) most_rows_ = even(most_rows_);
  const size_t copied_rows =
      size_t(planes_) * layout_.phases * (most_rows_ + layout_.above + layout_.below);
  // Behind the last row: zeros as before a row, the rest of a chunk, windows of no pixel.
  const size_t behind =
      static_cast<size_t>(layout_.lead + kTileRows * desc.stride) * pixel_ + 2 * kTileDepth;
  const size_t windows = static_cast<size_t>(most_rows_) * layout_.row_windows;
  row_floats_ = round_to_line((copied_rows * row_numbers_ + behind) / 2 + 1);
  depth_floats_ = round_to_line(chunks_);
  place_floats_ = round_to_line(most_rows_);
  source_floats_ = round_to_line(windows * sizeof(PixelSources) / sizeof(float));
  if (desc.max_pool) map_floats_ = round_to_line(windows * 2 * kTileChannels);
  if (stage_ != nullptr) map_floats_ = round_to_line(desc.in_width * desc.in_channels);
  pack(weights.weights);
}

void TilesConv::pack(const float* weights) {
  packed_ = aligned_zeros(own_weight_bytes() / sizeof(float));
  const int taps = desc_.kernel_h * desc_.kernel_w, channels = desc_.in_channels;
  for (int o = 0; o < desc_.out_channels; ++o) {
    const float* from = weights + static_cast<size_t>(o) * channels * taps;
    float* tile = packed_.get() + static_cast<size_t>(o / kTileChannels) * chunks_ * kTileWords +
                  o % kTileChannels;
    for (int tap = 0; tap < taps; ++tap) {
      const int row = tap / desc_.kernel_w, column = tap % desc_.kernel_w;
      for (int pass = 0; pass < passes_; ++pass) {
        const int first = (row * passes_ + pass) * row_chunks_ * kTileDepth + column * pixel_;
        for (int c = 0; c < channels; ++c) {
          const float weight = from[static_cast<size_t>(c) * taps + tap];
          const float rest = weight - from_bf16(to_bf16(weight));
          put_weight(tile, kTileChannels, first + c, true, pass == 2 ? rest : weight);
        }
      }
    }
  }
}

TilesConv::Scratch TilesConv::scratch_of(void* scratch, int worker) const {
  float* own = static_cast<float*>(scratch) + worker * worker_floats();
  Scratch s;
  s.sums = own;
  s.rows = reinterpret_cast<uint16_t*>(own += kMostTiles * kTileWords);
  s.depth = reinterpret_cast<int*>(own += row_floats_);
  s.places = reinterpret_cast<int*>(own += depth_floats_);
  s.sources = reinterpret_cast<PixelSources*>(own += place_floats_);
  s.map = own + source_floats_;
  return s;
}

/// Input row of a phase that output row `row` of the tall image reads without an offset, to `to`
/// and what rounding leaves of it to `rest`.
void TilesConv::copy_row(const float* input, int batch, int phase, int row, const Scratch& own,
                         uint16_t* to, uint16_t* rest) const {
  const int image = (row + layout_.above) / layout_.image_rows;
  const int y = (row - image * layout_.image_rows) * layout_.stride + layout_.remainder[phase];
  const bool inside = image < batch && y >= 0 && y < desc_.in_height;
  const int lead = layout_.lead * pixel_;
  const int end = inside ? lead + layout_.columns * pixel_ : lead;
  for (uint16_t* plane : {to, rest}) {
    if (plane == nullptr) continue;
    std::fill_n(plane, lead, uint16_t{0});
    std::fill(plane + end, plane + row_numbers_, uint16_t{0});
  }
  if (!inside) return;
  const size_t first = (static_cast<size_t>(image) * desc_.in_height + y) * desc_.in_width;
  TileInput a{
      input,  first * desc_.in_channels, layout_.columns, desc_.in_channels,
      pixel_, desc_.bf16_input,          to + lead,       rest == nullptr ? nullptr : rest + lead};
  if (stage_ != nullptr) {
    stage_->run(input, nullptr, first, desc_.in_width, own.map);
    a.input = own.map;
    a.begin = 0;
  }
  kernels_->input(a);
}

void TilesConv::copy_rows(const float* input, int batch, const Band& band,
                          const Scratch& own) const {
  const int rows = band.rows + layout_.above + layout_.below;
  const size_t plane = static_cast<size_t>(layout_.phases) * rows * row_numbers_;
  uint16_t* to = own.rows;
  for (int phase = 0; phase < layout_.phases; ++phase)
    for (int i = 0; i < rows; ++i, to += row_numbers_)
      copy_row(input, batch, phase, band.begin - layout_.above + i, own, to,
               planes_ > 1 ? to + plane : nullptr);
  std::fill_n(own.rows + planes_ * plane, layout_.lead * pixel_ + 2 * kTileDepth, uint16_t{0});
}

void TilesConv::find_depth(const Band& band, int* depth) const {
  const int phase_rows = band.rows + layout_.above + layout_.below;
  for (const KernelRow& k : layout_.kernel_rows) {
    for (int pass = 0; pass < passes_; ++pass) {
      const int phase = k.phase + (pass == 1 ? layout_.phases : 0);  // of the second plane
      const int begin = (phase * phase_rows + k.offset + layout_.above) * row_numbers_;
      for (int i = 0; i < row_chunks_; ++i) *depth++ = begin + i * kTileDepth;
    }
  }
}

/// Where the rows of the band lie in the output, and what is added to their pixels.
const PixelSources* TilesConv::find_places(const Band& band, const Epilogue& epilogue,
                                           const Scratch& own) const {
  const PixelSources* sources = nullptr;
  for (int i = 0; i < band.rows; ++i) {
    const int image = (band.begin + i) / layout_.image_rows;
    const int y = (band.begin + i) % layout_.image_rows;
    own.places[i] = -1;
    if (y >= desc_.out_height) continue;
    const int first = (image * desc_.out_height + y) * desc_.out_width;
    own.places[i] = desc_.max_pool ? i * layout_.row_windows : first;
    if (kernels_->sources(epilogue, first, desc_.out_width,
                          own.sources + i * layout_.row_windows) != nullptr)
      sources = own.sources;
  }
  return sources;
}

/// Tile `tile` of the output channels, and the next one if `end` allows.
void TilesConv::choose_tiles(int tile, int end, TileBlock& a) const {
  a.tiles = std::min(2, end - tile);
  a.weights = packed_.get() + static_cast<size_t>(tile) * chunks_ * kTileWords;
  a.channel_begin = tile * kTileChannels;
  a.channels = std::min(a.tiles * kTileChannels, desc_.out_channels - a.channel_begin);
}

/// A few pixels' windows, which stay in the first-level cache, meet all weights, which come from
/// the second level; if they do not fit there, each is read for all pixels before the next.
void TilesConv::run_blocks(TileBlock& a, const Tiles& tiles) const {
  constexpr size_t kSecondLevelBytes = 1536 << 10;
  const bool pixels_first = own_weight_bytes() <= kSecondLevelBytes;
  const int windows = a.count;
  const int at_once = (tiles.end - tiles.begin == 1 ? kMostTiles : kMostTiles / 2) * kTileRows;
  const int step = pixels_first ? at_once : windows;
  a.output_step = desc_.out_channels;
  for (a.begin = 0; a.begin < windows; a.begin += step) {
    a.count = std::min(step, windows - a.begin);
    for (int tile = tiles.begin; tile < tiles.end; tile += a.tiles) {
      choose_tiles(tile, tiles.end, a);
      a.output_begin = a.channel_begin;
      kernels_->block(a);
    }
  }
}

void TilesConv::run_pooled(TileBlock& a, const Tiles& tiles, const Band& band,
                           float* output) const {
  a.epilogue.bf16_output = false;
  for (int tile = tiles.begin; tile < tiles.end; tile += a.tiles) {
    choose_tiles(tile, tiles.end, a);
    a.output_step = a.tiles * kTileChannels;
    kernels_->block(a);
    pool(band, a, output);
  }
}

/// Of the outputs of `block`, which lie in its worker's scratch.
void TilesConv::pool(const Band& band, const TileBlock& block, float* output) const {
  TilePool a;
  a.row = layout_.row_windows;
  a.width = desc_.out_width;
  a.lanes = static_cast<int>(block.output_step);
  a.channels = block.channels;
  a.output = output;
  a.output_step = desc_.out_channels;
  a.bf16_output = desc_.bf16_output;
  for (int i = 0; i + 1 < band.rows; i += 2) {
    const int image = (band.begin + i) / layout_.image_rows;
    const int y = (band.begin + i) % layout_.image_rows;
    if (y >= desc_.out_height) continue;
    const size_t row = static_cast<size_t>(image) * (desc_.out_height / 2) + y / 2;
    a.map = block.output + static_cast<size_t>(i) * layout_.row_windows * a.lanes;
    a.output_begin = row * (desc_.out_width / 2) * desc_.out_channels + block.channel_begin;
    kernels_->pool(a);
  }
}

TilesConv::Split TilesConv::split(int batch, int threads) const {
  Split s;
  s.rows = rows_of(batch);
  s.bands = ceil_div(s.rows, most_rows_);
  const int tasks = threads == 1 ? 1 : 2 * threads;
  if (s.bands < tasks) {
    const size_t map = size_t{2} * s.rows * row_numbers_ * layout_.phases;
    if (own_weight_bytes() > map && stage_ == nullptr) {
      s.parts = std::min(ceil_div(tasks, s.bands), ceil_div(tiles_, 2));
    } else {
      s.bands = std::min(tasks, s.rows);
    }
  } else {
    s.bands = ceil_div(s.bands, threads) * threads;
  }
  s.band_rows = ceil_div(s.rows, s.bands);
  if (desc_.max_pool) s.band_rows = even(s.band_rows);
  s.bands = ceil_div(s.rows, s.band_rows);
  return s;
}

void TilesConv::run(const float* input, const float* addend, float* output, int batch,
                    void* scratch, const Parallel& parallel) const {
  const Split s = split(batch, parallel.threads);
  const Epilogue epilogue = epilogue_.with_addend(addend);
  parallel(s.bands * s.parts, [&](int task, int worker) {
    const Scratch own = scratch_of(scratch, worker);
    const int part = task % s.parts, begin = task / s.parts * s.band_rows;
    const Band band{begin, std::min(s.band_rows, s.rows - begin)};
    copy_rows(input, batch, band, own);
    find_depth(band, own.depth);
    TileBlock a;
    a.windows = own.rows;
    a.step = static_cast<size_t>(desc_.stride) * pixel_;
    a.depth = own.depth;
    a.chunks = chunks_;
    a.count = (band.rows - 1) * layout_.row_windows + desc_.out_width;
    a.row_windows = layout_.row_windows;
    a.row_pixels = desc_.out_width;
    a.places = own.places;
    a.sources = find_places(band, epilogue, own);
    a.sums = own.sums;
    a.output = desc_.max_pool ? own.map : output;
    a.epilogue = epilogue;
    const Tiles tiles{tiles_ * part / s.parts, tiles_ * (part + 1) / s.parts};
    kernels_->begin();
    if (desc_.max_pool) {
      run_pooled(a, tiles, band, output);
    } else {
      run_blocks(a, tiles);
    }
    kernels_->end();
  });
}

}  // namespace

std::unique_ptr<Conv> make_tiles(ConvIsa isa, const ConvDesc& desc, const ConvWeights& weights,
                                 ConvPrecision precision) {
  return std::make_unique<TilesConv>(isa, desc, weights, precision, nullptr);
}

std::unique_ptr<Conv> make_tiles(ConvIsa isa, const ConvDesc& stage,
                                 const ConvWeights& stage_weights, const ConvDesc& desc,
                                 const ConvWeights& weights, ConvPrecision precision) {
  const ConvIsa stage_isa = isa == ConvIsa::kAmx ? ConvIsa::kAvx512Bf16 : isa;
  return std::make_unique<TilesConv>(
      isa, desc, weights, precision,
      std::make_unique<DepthwiseStage>(conv_kernels(stage_isa, ConvPrecision::kBf16), stage,
                                       stage_weights));
}

}  // namespace face::cpu
