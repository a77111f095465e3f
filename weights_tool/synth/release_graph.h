// SPDX-License-Identifier: MIT
// weights_tool/synth/release_graph.h - builds an ONNX graph node by node with seeded weights,
// scaled so that activations stay near 1 through a hundred layers.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weights_tool/onnx_graph.h"
#include "weights_tool/synth/random.h"

namespace face::synth {

constexpr char kProducer[] = "face-worker synth";

/// Mean for what a ReLU reads, where its spread is 1: five of six values pass. Around 0, filters
/// that are centred behind each ReLU would enlarge rounding errors by a fifth per layer, until bf16
/// is off by a tenth; trained networks do not do that.
constexpr float kActiveMean = 1.f;

/// Every function that adds a node returns the name of its output. Names count up from 2001 as an
/// exporter's do, except where the caller gives one. Weights follow from seed, file and name.
///
/// Weights: each filter has exactly the norm that gives its output variance 1 for independent
/// inputs with the moments expected (He et al. 2015, but tracked from node to node instead of
/// assumed), and the common mode of positive inputs is kept out: large filters have
/// mean 0, small ones a bias that takes the expected mean back.
class ReleaseGraph {
 public:
  using Dims = std::vector<int64_t>;
  using Attributes = std::map<std::string, onnx::Attribute>;

  ReleaseGraph(std::string file, uint64_t seed, Dims input);

  struct Conv {
    int64_t out = 0;
    int64_t kernel = 3, stride = 1;
    bool depthwise = false;
    bool padded = true;  // by kernel / 2
  };
  /// What a head's convolution starts from: outputs of this spread around `bias`.
  struct Start {
    double spread = 1.0;
    float mean = 0.f;
    std::vector<float> bias{};  // empty: random, 0.1 around what gives the outputs `mean`
    std::string shared_bias{};  // an initializer to use instead
  };
  std::string conv(const std::string& x, const Conv& c, const Start& start);
  std::string conv(const std::string& x, const Conv& c) { return conv(x, c, Start()); }
  std::string gemm(const std::string& x, int64_t in, int64_t out);
  std::string batch_norm(const std::string& x, const std::string& output = {});
  std::string relu(const std::string& x);
  std::string prelu(const std::string& x);
  std::string add(const std::string& a, const std::string& b);

  /// Any other node; moments and channels are its first input's.
  std::string node(const std::string& op, std::vector<std::string> inputs,
                   Attributes attributes = {}, const std::string& output = {});
  /// An initializer that later nodes may share.
  std::string ints(Dims dims, std::vector<int64_t> values);
  std::string floats(Dims dims, std::vector<float> values);
  void output(const std::string& name, Dims dims);

  [[nodiscard]] int64_t channels(const std::string& x) const { return values_.at(x).channels; }
  /// Name of the last convolution's bias.
  [[nodiscard]] const std::string& last_bias() const { return last_bias_; }
  [[nodiscard]] onnx::Graph take() { return std::move(graph_); }

 private:
  struct Value {
    int64_t channels = 0;
    double mean = 0, square = 0;  // expected mean, and mean of squares
    [[nodiscard]] double variance() const { return square - mean * mean; }
  };

  static Value rectified(const Value& x);
  std::string next_name() { return std::to_string(next_name_++); }
  std::string add_array(onnx::Array array);
  std::string random_array(Dims dims, float (*draw)(Random&));
  std::string filters(const Value& x, const Dims& dims, double spread);
  std::string bias_for(const Value& x, const std::string& weights, const Start& start);
  std::string activation(const std::string& name, const Value& x, double slope_mean,
                         double slope_square);

  uint64_t seed_;
  int next_name_ = 2001;
  std::string last_bias_;
  onnx::Graph graph_;
  std::map<std::string, Value> values_;
};

}  // namespace face::synth
