// SPDX-License-Identifier: MIT
// tests/cuda/every_op.h - a small network with every kind of operation, and what tests of the CUDA
// engine ask of one.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/error.h"
#include "tests/cuda/random_network.h"

namespace face::test {

/// Every kind of operation the executor knows, 3x24x20 -> 10 numbers.
class EveryOp : public RandomNetwork {
 public:
  EveryOp() : RandomNetwork(5) {
    network.input = {.name = "in", .tensor = tensor("in", 3), .height = 24, .width = 20};
    TensorId x = conv(network.input.tensor, 28, 3, 2);
    network.ops.back().activation = Activation::kPrelu;
    network.ops.back().slopes = random(28, 0.3f);
    const TensorId skip = conv(x, 28, 3, 1);
    network.ops.back().bias_kind = BiasKind::kBorder9;
    network.ops.back().bias = random(9 * 28, 0.5f);
    x = conv(skip, 28, 3, 1, 28);
    network.ops.back().activation = Activation::kClip;
    network.ops.back().clip_low = -0.5f, network.ops.back().clip_high = 0.75f;
    x = conv(x, 28, 1, 1);
    network.ops.back().addend = skip;
    network.ops.back().activation = Activation::kRelu;
    const TensorId fine = conv(x, 24, 1, 1);
    x = pool(OpKind::kMaxPool, fine);
    x = conv(x, 24, 3, 1, 4);
    const TensorId up = conv(fine, 24, 3, 1);
    network.ops.back().addend = x;
    network.ops.back().addend_upsampled = true;
    TensorId y = simple(OpKind::kUpsample2x, pool(OpKind::kAveragePool, up));
    y = simple(OpKind::kAdd, y, up);
    y = simple(OpKind::kAffine, y);
    network.ops.back().weights = random(24, 1.f);
    network.ops.back().bias_kind = BiasKind::kPerChannel;
    network.ops.back().bias = random(24, 1.f);
    y = simple(OpKind::kActivation, y);
    network.ops.back().activation = Activation::kSigmoid;
    end_in_fully_connected(y, 12 * 10);
    validate(network, "every op");
  }

 private:
  TensorId pool(OpKind kind, TensorId in) {
    const TensorId out = simple(kind, in);
    Op& op = network.ops.back();
    op.kernel_h = op.kernel_w = op.stride_h = op.stride_w = 2;
    return out;
  }
  TensorId simple(OpKind kind, TensorId in, TensorId addend = kNoTensor) {
    Op op;
    op.kind = kind;
    op.name = "op" + std::to_string(network.ops.size());
    op.input = in;
    op.addend = addend;
    op.output = tensor(op.name.c_str(), network.tensors[in].channels);
    network.ops.push_back(op);
    return op.output;
  }
};

inline std::vector<float> random_input(size_t count) {
  std::mt19937 generator(11);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float& v : values) v = uniform(generator);
  return values;
}

inline double relative_l2(std::span<const float> found, std::span<const float> wanted) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    error += (double(found[i]) - wanted[i]) * (double(found[i]) - wanted[i]);
    norm += double(wanted[i]) * wanted[i];
  }
  return std::sqrt(error / norm);
}

/// Text of the Error that `action` throws, after checking its kind.
template <typename Action>
std::string error_of(Action action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace face::test
