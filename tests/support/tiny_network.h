// SPDX-License-Identifier: MIT
// tests/support/tiny_network.h - small networks built in code, owning their weights.
#pragma once

#include <deque>
#include <vector>

#include "engine/network.h"

namespace face::test {

/// A network and the memory behind its spans. Not copyable: the spans point into it.
struct OwnedNetwork {
  Network network;
  std::deque<std::vector<float>> arrays;

  OwnedNetwork() = default;
  OwnedNetwork(const OwnedNetwork&) = delete;
  OwnedNetwork& operator=(const OwnedNetwork&) = delete;

  /// `count` values that differ from each other, owned by this.
  std::span<const float> values(size_t count, float first = 0.25f) {
    auto& array = arrays.emplace_back(count);
    for (size_t i = 0; i < count; ++i) array[i] = first + 0.125f * static_cast<float>(i % 17);
    return array;
  }
  TensorId tensor(const char* name, int channels) {
    network.tensors.push_back({name, channels});
    return static_cast<TensorId>(network.tensors.size()) - 1;
  }
  /// Appends a convolution with a bias per channel and "same" padding.
  TensorId conv(const char* name, TensorId input, int channels, int kernel, int stride) {
    Op op;
    op.kind = OpKind::kConv;
    op.name = name;
    op.input = input;
    op.output = tensor(name, channels);
    op.kernel_h = op.kernel_w = kernel;
    op.stride_h = op.stride_w = stride;
    op.pad_top = op.pad_left = op.pad_bottom = op.pad_right = kernel / 2;
    op.weights = values(size_t(channels) * network.tensors[input].channels * kernel * kernel);
    op.bias_kind = BiasKind::kPerChannel;
    op.bias = values(channels, -1.f);
    network.ops.push_back(op);
    return op.output;
  }
};

/// Two convolutions and a head of one level: a detector of stride 8 with two anchors.
inline void fill_detector(OwnedNetwork& owned) {
  Network& n = owned.network;
  n.role = NetworkRole::kDetector;
  n.input = {.name = "input.1", .tensor = owned.tensor("input.1", 3)};
  const TensorId a = owned.conv("stem", n.input.tensor, 4, 3, 4);
  const TensorId head = owned.conv("head", a, 30, 3, 2);
  n.outputs = {{"score", head, 0, 2, 1, true, false},
               {"box", head, 2, 8, 4, false, false},
               {"points", head, 10, 20, 10, false, false}};
  n.levels = {{8, 2, head, 0, 2, 10}};
}

/// A convolution with PReLU and border bias, then a fully connected layer: 8 values per face.
inline void fill_recogniser(OwnedNetwork& owned) {
  Network& n = owned.network;
  n.role = NetworkRole::kRecogniser;
  n.input = {.name = "data", .tensor = owned.tensor("data", 3), .height = 6, .width = 6};
  const TensorId a = owned.conv("stem", n.input.tensor, 4, 3, 2);
  Op& stem = n.ops.back();
  stem.bias_kind = BiasKind::kBorder9;
  stem.bias = owned.values(size_t(9) * 4, -0.5f);
  stem.activation = Activation::kPrelu;
  stem.slopes = owned.values(4);
  Op fc;
  fc.kind = OpKind::kFullyConnected;
  fc.name = "fc";
  fc.input = a;
  fc.output = owned.tensor("fc", 8);
  fc.weights = owned.values(size_t(8) * 4 * 3 * 3, -2.f);
  n.ops.push_back(fc);
  n.outputs = {{"embedding", fc.output, 0, 8, 8, false, true}};
  n.embedding_size = 8;
}

}  // namespace face::test
