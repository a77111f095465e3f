// SPDX-License-Identifier: MIT
// kernels/cpu/conv_layer.h - what every algorithm's planner needs: kernels of an instruction set,
// and the epilogue's tables, owned by the layer.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/conv.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_tile_plan.h"

namespace face::cpu {

/// REQUIRES: supported(isa, precision).
[[nodiscard]] const ConvKernels& conv_kernels(ConvIsa isa,
                                              ConvPrecision precision = ConvPrecision::kFp32);

/// Of ConvAlgorithm::kTiles, which they serve in every precision. REQUIRES: supported() with it.
[[nodiscard]] const TileKernels& conv_tile_kernels(ConvIsa isa);

/// What Conv::name() says of bfloat16 maps; empty if there are none.
[[nodiscard]] std::string map_suffix(const ConvDesc& desc);

/// Of positive numbers, rounded up.
constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Owns bias, slopes and border classes of one layer.
class EpilogueTables {
 public:
  EpilogueTables(const ConvDesc& desc, const ConvWeights& weights);
  /// Borrows the tables; `addend` may be null.
  [[nodiscard]] Epilogue with_addend(const float* addend) const;

 private:
  Epilogue epilogue_;
  std::vector<float> bias_;
  std::vector<float> slopes_;
  std::vector<uint8_t> row_class_;
  std::vector<uint8_t> col_class_;
};

/// A block of output channels: full vectors, perhaps half a vector, and its first channel.
struct LaneBlock {
  int vectors = 0;
  bool half = false;
  int lanes = 0;
  int channel_begin = 0;
  int channels = 0;  // that exist; the remaining lanes are zero
};
/// Cuts `channels` into blocks that the micro-kernels can take, of nearly equal size.
[[nodiscard]] std::vector<LaneBlock> lane_blocks(const LaneShape& shape, int channels);

[[nodiscard]] std::unique_ptr<Conv> make_winograd(ConvAlgorithm algorithm, ConvIsa isa,
                                                  const ConvDesc& desc, const ConvWeights& weights,
                                                  ConvPrecision precision);
[[nodiscard]] std::unique_ptr<Conv> make_direct(ConvIsa isa, const ConvDesc& desc,
                                                const ConvWeights& weights,
                                                ConvPrecision precision);
/// With a stage before it: `desc` is 1x1, and its input what the stage gives.
[[nodiscard]] std::unique_ptr<Conv> make_direct(ConvIsa isa, const ConvDesc& stage,
                                                const ConvWeights& stage_weights,
                                                const ConvDesc& desc, const ConvWeights& weights,
                                                ConvPrecision precision);
[[nodiscard]] std::unique_ptr<Conv> make_tiles(ConvIsa isa, const ConvDesc& desc,
                                               const ConvWeights& weights, ConvPrecision precision);
/// With a stage before it, as above.
[[nodiscard]] std::unique_ptr<Conv> make_tiles(ConvIsa isa, const ConvDesc& stage,
                                               const ConvWeights& stage_weights,
                                               const ConvDesc& desc, const ConvWeights& weights,
                                               ConvPrecision precision);
[[nodiscard]] std::unique_ptr<Conv> make_depthwise(ConvIsa isa, const ConvDesc& desc,
                                                   const ConvWeights& weights);

}  // namespace face::cpu
