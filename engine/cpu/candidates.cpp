// SPDX-License-Identifier: MIT
#include "engine/cpu/candidates.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "engine/cpu/bf16.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/cpu/plain_conv.h"
#include "engine/cpu/pooling.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

/// Of a sum of products of numbers rounded to 8 bits; tests/kernels/conv_winograd_test.cpp has the
/// derivation of this and of what Winograd's transforms make of it.
constexpr double kRoundedError = 2.4e-3;

constexpr double kSplitError = 5e-6;  // of kBf16x3

double rounded_error(ConvAlgorithm algorithm, ConvPrecision precision) {
  if (precision == ConvPrecision::kFp32) return 0;
  if (precision == ConvPrecision::kBf16x3) return kSplitError;
  switch (algorithm) {
    case ConvAlgorithm::kDirect:
    case ConvAlgorithm::kTiles:
      return kRoundedError;
    case ConvAlgorithm::kWinograd2x2:
      return 1.7 * kRoundedError;
    case ConvAlgorithm::kWinograd2x4:
      return 2.9 * kRoundedError;
    default:
      return 4.8 * kRoundedError;
  }
}

const char* precision_suffix(ConvPrecision precision) {
  if (precision == ConvPrecision::kBf16x3) return "_bf16x3";
  return precision == ConvPrecision::kBf16 ? "_bf16" : "";
}

Candidate own_candidate(ConvAlgorithm algorithm, ConvPrecision precision) {
  const bool reads = precision == ConvPrecision::kBf16, writes = precision != ConvPrecision::kFp32;
  const bool tiles = algorithm == ConvAlgorithm::kTiles, prefers = reads && tiles;
  return {std::string(to_string(algorithm)) + precision_suffix(precision),
          [algorithm, precision](const ConvProblem& p) -> std::unique_ptr<Layer> {
            return make_conv(algorithm, best_conv_isa(precision, algorithm), p.desc, p.weights,
                             precision);
          },
          rounded_error(algorithm, precision),
          reads,
          writes,
          prefers,
          tiles};
}

/// The candidate on rounded weights and inputs.
Candidate rounding(const Candidate& candidate) {
  return {candidate.name + "_emulated_bf16",
          [make = candidate.make](const ConvProblem& p) -> std::unique_ptr<Layer> {
            const std::vector<float> weights = rounded_weights(p);
            ConvProblem rounded = p;
            rounded.weights.weights = weights.data();
            auto layer = make(rounded);
            return layer == nullptr ? nullptr : emulate_bf16(std::move(layer), p.desc);
          },
          kRoundedError};
}

/// A sigmoid behind a layer, in place.
class WithSigmoid final : public Layer {
 public:
  WithSigmoid(std::unique_ptr<Layer> layer, const ConvDesc& desc)
      : layer_(std::move(layer)),
        row_floats_(size_t(desc.out_width) * desc.out_channels),
        rows_(desc.out_height) {}

  [[nodiscard]] std::string name() const override { return layer_->name(); }
  [[nodiscard]] size_t weight_bytes() const override { return layer_->weight_bytes(); }
  [[nodiscard]] size_t scratch_bytes(int threads) const override {
    return layer_->scratch_bytes(threads);
  }
  [[nodiscard]] bool reads_input_first() const override { return layer_->reads_input_first(); }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override {
    layer_->run(input, addend, output, batch, scratch, parallel);
    parallel(batch * rows_, [&](int task, int) {
      float* row = output + task * row_floats_;
      for (size_t i = 0; i < row_floats_; ++i) row[i] = 1.f / (1.f + std::exp(-row[i]));
    });
  }

 private:
  std::unique_ptr<Layer> layer_;
  size_t row_floats_;
  int rows_;
};

Candidate with_sigmoid(const Candidate& candidate) {
  return {candidate.name,
          [make = candidate.make](const ConvProblem& p) -> std::unique_ptr<Layer> {
            auto layer = make(p);
            return layer == nullptr ? nullptr
                                    : std::make_unique<WithSigmoid>(std::move(layer), p.desc);
          },
          candidate.error};
}

ConvProblem unpooled(const ConvProblem& problem) {
  ConvProblem whole = problem;
  whole.desc.max_pool = false;
  return whole;
}

/// One layer, its map in the scratch, and another one.
class TwoLayers final : public Layer {
 public:
  TwoLayers(std::unique_ptr<Layer> first, std::unique_ptr<Layer> second, const ConvDesc& between)
      : first_(std::move(first)),
        second_(std::move(second)),
        map_floats_(round_to_line(size_t(between.max_batch) * between.out_height *
                                  between.out_width * between.out_channels)) {}

  [[nodiscard]] std::string name() const override { return first_->name() + ">" + second_->name(); }
  [[nodiscard]] size_t weight_bytes() const override {
    return first_->weight_bytes() + second_->weight_bytes();
  }
  [[nodiscard]] size_t scratch_bytes(int threads) const override {
    return map_floats_ * sizeof(float) +
           std::max(first_->scratch_bytes(threads), second_->scratch_bytes(threads));
  }
  [[nodiscard]] bool reads_input_first() const override { return true; }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override {
    auto* map = static_cast<float*>(scratch);
    first_->run(input, nullptr, map, batch, map + map_floats_, parallel);
    second_->run(map, addend, output, batch, map + map_floats_, parallel);
  }

 private:
  std::unique_ptr<Layer> first_, second_;
  size_t map_floats_;
};

Candidate with_max_pool(const Candidate& candidate) {
  return {candidate.name,
          [make = candidate.make](const ConvProblem& p) -> std::unique_ptr<Layer> {
            auto layer = make(unpooled(p));
            if (layer == nullptr) return nullptr;
            const ConvDesc& d = p.desc;
            const Shape map{d.out_channels, d.out_height, d.out_width};
            return std::make_unique<TwoLayers>(std::move(layer),
                                               make_max_pool_2x2(map, d.max_batch), d);
          },
          candidate.error};
}

Candidate onednn_candidate(const ConvProblem& problem, bool bf16, int threads) {
  const Candidate onednn{
      bf16 ? "onednn_bf16" : "onednn",
      [bf16, threads](const ConvProblem& p) { return make_onednn_conv(p, bf16, threads); },
      bf16 ? kRoundedError : 0.};
  return problem.desc.max_pool ? with_max_pool(onednn) : onednn;
}

/// The largest tiles of Winograd win on large maps alone; their weights are big and take long to
/// make.
bool is_worthwhile(ConvAlgorithm algorithm, const ConvDesc& d, bool tiles) {
  if (algorithm == ConvAlgorithm::kTiles) return tiles;
  constexpr int kLeastSide = 48, kMostWeights = 128 * 128;
  return algorithm != ConvAlgorithm::kWinograd6x6 ||
         (std::min(d.out_height, d.out_width) >= kLeastSide &&
          d.in_channels * d.out_channels <= kMostWeights);
}

/// Our kernels, those with the fewest operations last.
std::vector<Candidate> own_candidates(const ConvProblem& problem, ConvPrecision precision,
                                      bool tiles) {
  std::vector<Candidate> result;
  if (problem.stride_w != problem.desc.stride) return result;
  const auto algorithms = conv_algorithms(unpooled(problem).desc, precision);
  for (auto it = algorithms.rbegin(); it != algorithms.rend(); ++it) {
    if (!is_worthwhile(*it, problem.desc, tiles)) continue;
    const Candidate own = own_candidate(*it, precision);
    const bool pools = can_compute(*it, problem.desc, precision) || !problem.desc.max_pool;
    result.push_back(pools ? own : with_max_pool(own));
  }
  return result;
}

std::vector<Candidate> fp32_candidates(const ConvProblem& problem, int threads) {
  std::vector<Candidate> result = own_candidates(problem, ConvPrecision::kFp32, false);
  const Candidate onednn = onednn_candidate(problem, false, threads);
  const Candidate plain{"plain", make_plain_conv};
  if (result.empty()) return {onednn, problem.desc.max_pool ? with_max_pool(plain) : plain};
  // oneDNN runs picture by picture: it would read a fully connected layer's weights for each.
  const bool one_pixel = problem.desc.out_height * problem.desc.out_width == 1;
  if (!one_pixel) result.push_back(onednn);
  return result;
}

Candidate one_after_the_other(const Candidate& depthwise, const Candidate& pointwise) {
  return {depthwise.name + ">" + pointwise.name,
          [first = depthwise.make,
           second = pointwise.make](const ConvProblem& p) -> std::unique_ptr<Layer> {
            auto a = first(*p.depthwise), b = second(without_depthwise(p));
            if (a == nullptr || b == nullptr) return nullptr;
            return std::make_unique<TwoLayers>(std::move(a), std::move(b), p.depthwise->desc);
          },
          pointwise.error};
}

Candidate separable_candidate(ConvPrecision precision,
                              ConvAlgorithm algorithm = ConvAlgorithm::kDirect) {
  return {std::string("depthwise_") + to_string(algorithm) + precision_suffix(precision),
          [precision, algorithm](const ConvProblem& p) -> std::unique_ptr<Layer> {
            return make_separable(best_conv_isa(precision, algorithm), p.depthwise->desc,
                                  p.depthwise->weights, p.desc, p.weights, precision, algorithm);
          },
          rounded_error(algorithm, precision)};
}

/// A depthwise convolution in every way before every one of `pointwise`, and both as one.
std::vector<Candidate> separable_candidates(const ConvProblem& problem, Precision precision,
                                            const std::vector<Candidate>& pointwise, int threads,
                                            bool tiles) {
  std::vector<Candidate> result;
  for (const Candidate& first : fp32_candidates(*problem.depthwise, threads))
    for (const Candidate& second : pointwise) result.push_back(one_after_the_other(first, second));
  if (!is_separable(problem.depthwise->desc, problem.desc)) return result;
  std::vector<Candidate> fused{separable_candidate(ConvPrecision::kFp32)};
  if (precision == Precision::kBf16) {
    fused.push_back(separable_candidate(ConvPrecision::kBf16));
    if (tiles)
      for (const auto rounded : {ConvPrecision::kBf16, ConvPrecision::kBf16x3})
        fused.push_back(separable_candidate(rounded, ConvAlgorithm::kTiles));
  }
  for (const Candidate& one : fused) result.push_back(problem.sigmoid ? with_sigmoid(one) : one);
  return result;
}

}  // namespace

std::vector<Candidate> conv_candidates(const ConvProblem& problem, Precision precision, int threads,
                                       bool tiles) {
  if (problem.depthwise != nullptr)
    return separable_candidates(
        problem, precision, conv_candidates(without_depthwise(problem), precision, threads, tiles),
        threads, tiles);
  std::vector<Candidate> result = fp32_candidates(problem, threads);
  if (precision == Precision::kBf16) {
    if (has_native_bf16()) {
      result.push_back(onednn_candidate(problem, true, threads));
    } else {
      for (Candidate& candidate : result) candidate = rounding(candidate);
    }
    for (const auto rounded : {ConvPrecision::kBf16, ConvPrecision::kBf16x3})
      for (Candidate& candidate : own_candidates(problem, rounded, tiles))
        result.push_back(std::move(candidate));
  }
  if (problem.sigmoid)
    for (Candidate& candidate : result) candidate = with_sigmoid(candidate);
  return result;
}

Candidate first_able(std::vector<Candidate> candidates) {
  return {"first able",
          [candidates = std::move(candidates)](const ConvProblem& p) -> std::unique_ptr<Layer> {
            for (const Candidate& candidate : candidates)
              if (auto layer = candidate.make(p)) return layer;
            return nullptr;
          }};
}

std::vector<std::unique_ptr<Layer>> make_layers(
    size_t count, const std::function<std::unique_ptr<Layer>(size_t)>& make,
    const Parallel& parallel) {
  std::vector<std::unique_ptr<Layer>> layers(count);
  std::vector<std::exception_ptr> errors(count);
  parallel(static_cast<int>(count), [&](int i, int) {
    try {
      layers[i] = make(i);
    } catch (...) {  // must not leave a thread of the team
      errors[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error != nullptr) std::rethrow_exception(error);
  return layers;
}

}  // namespace face::cpu
