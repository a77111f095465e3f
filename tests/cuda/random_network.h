// SPDX-License-Identifier: MIT
// tests/cuda/random_network.h - a network of convolutions with random weights, to be built on.
#pragma once

#include <cmath>
#include <random>
#include <span>
#include <string>

#include "tests/support/tiny_network.h"

namespace face::test {

class RandomNetwork : public OwnedNetwork {
 public:
  std::span<const float> random(size_t count, float scale) {
    std::uniform_real_distribution<float> uniform(-scale, scale);
    auto& values = arrays.emplace_back(count);
    for (float& v : values) v = uniform(generator_);
    return values;
  }

 protected:
  explicit RandomNetwork(uint32_t seed) : generator_(seed) {
    network.role = NetworkRole::kRecogniser;
  }

  TensorId conv(TensorId in, int out, int kernel, int stride, int groups = 1) {
    Op op;
    op.name = "conv" + std::to_string(network.ops.size());
    op.input = in;
    op.output = tensor(op.name.c_str(), out);
    op.groups = groups;
    op.kernel_h = op.kernel_w = kernel;
    op.stride_h = op.stride_w = stride;
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = kernel / 2;
    const int depth = network.tensors[in].channels / groups * kernel * kernel;
    op.weights = random(size_t(out) * depth, 1.5f / std::sqrt(static_cast<float>(depth)));
    op.bias_kind = BiasKind::kPerChannel;
    op.bias = random(out, 0.5f);
    network.ops.push_back(op);
    return op.output;
  }

  /// The embedding: ten numbers of the `pixels` that `in` has.
  void end_in_fully_connected(TensorId in, int pixels) {
    Op fc;
    fc.kind = OpKind::kFullyConnected;
    fc.name = "fc";
    fc.input = in;
    fc.output = tensor("fc", 10);
    fc.weights = random(size_t(10) * network.tensors[in].channels * pixels, 0.05f);
    network.ops.push_back(fc);
    network.outputs = {{"embedding", fc.output, 0, 10, 10, false, true}};
    network.embedding_size = 10;
  }

 private:
  std::mt19937 generator_;
};

}  // namespace face::test
