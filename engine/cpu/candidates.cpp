// SPDX-License-Identifier: MIT
#include "engine/cpu/candidates.h"

#include <cmath>
#include <utility>

#include "engine/cpu/bf16.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/cpu/plain_conv.h"

namespace face::cpu {
namespace {

Candidate own_candidate(ConvAlgorithm algorithm, ConvIsa isa) {
  return {to_string(algorithm), [algorithm, isa](const ConvProblem& p) -> std::unique_ptr<Layer> {
            return make_conv(algorithm, isa, p.desc, p.weights);
          }};
}

Candidate onednn_candidate(bool bf16, int threads) {
  return {bf16 ? "onednn_bf16" : "onednn",
          [bf16, threads](const ConvProblem& p) { return make_onednn_conv(p, bf16, threads); }};
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
          }};
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
  return {candidate.name, [make = candidate.make](const ConvProblem& p) -> std::unique_ptr<Layer> {
            auto layer = make(p);
            return layer == nullptr ? nullptr
                                    : std::make_unique<WithSigmoid>(std::move(layer), p.desc);
          }};
}

std::vector<Candidate> fp32_candidates(const ConvProblem& problem, int threads) {
  std::vector<Candidate> result;
  if (problem.stride_w == problem.desc.stride) {
    std::vector<ConvAlgorithm> algorithms = conv_algorithms(problem.desc);
    for (auto it = algorithms.rbegin(); it != algorithms.rend(); ++it)
      result.push_back(own_candidate(*it, best_conv_isa()));
  }
  result.push_back(onednn_candidate(false, threads));
  return result;
}

}  // namespace

std::vector<Candidate> conv_candidates(const ConvProblem& problem, Precision precision,
                                       int threads) {
  std::vector<Candidate> result = fp32_candidates(problem, threads);
  const bool own = result.size() > 1;
  // Plain loops are slow: for what nothing else takes.
  if (!own) result.push_back({"plain", make_plain_conv});
  if (precision == Precision::kBf16) {
    if (has_native_bf16()) {
      result.push_back(onednn_candidate(true, threads));
    } else {
      for (Candidate& candidate : result) candidate = rounding(candidate);
    }
  }
  if (problem.sigmoid)
    for (Candidate& candidate : result) candidate = with_sigmoid(candidate);
  return result;
}

}  // namespace face::cpu
