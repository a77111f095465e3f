// SPDX-License-Identifier: MIT
// tests/weights_tool/network_check.h - holds a rewritten network against the one it was made of.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/reference/network_interpreter.h"
#include "weights_tool/lowering.h"

namespace face::test {

/// Seeded values, as the ONNX graph would be fed.
inline reference::Values random_picture(int height, int width) {
  reference::Values v{{3, height, width}, {}};
  std::mt19937 random(11);
  std::uniform_real_distribution<double> value(-1, 1);
  for (int i = 0; i < 3 * height * width; ++i) v.data.push_back(value(random));
  return v;
}

/// All tensors for a picture of the ONNX graph's values.
inline std::vector<reference::Values> run_on(const Network& network, reference::Values picture) {
  for (double& v : picture.data) v = (v - network.input.onnx_mean) * network.input.onnx_scale;
  return reference::run(network, picture);
}

/// Relative L2 distance; NaN if either holds one.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += a[i] * a[i];
  }
  return a.size() == b.size() ? std::sqrt(difference / norm) : NAN;
}

/// Values of one output: its channels of every pixel.
inline std::vector<double> output_values(const std::vector<reference::Values>& tensors,
                                         const Output& output) {
  const reference::Values& t = tensors[output.tensor];
  std::vector<double> values;
  for (int c = 0; c < output.channel_count; ++c)
    for (int y = 0; y < t.shape.height; ++y)
      for (int x = 0; x < t.shape.width; ++x)
        values.push_back(t.at(output.channel_begin + c, y, x));
  return values;
}

/// Every output of two networks agrees for a picture of this size.
inline void expect_same_outputs(const Network& want, const Network& got, int height, int width) {
  ASSERT_EQ(want.outputs.size(), got.outputs.size());
  const auto picture = random_picture(height, width);
  const auto a = run_on(want, picture), b = run_on(got, picture);
  for (size_t i = 0; i < want.outputs.size(); ++i) {
    EXPECT_EQ(want.outputs[i].name, got.outputs[i].name);
    const double error =
        distance(output_values(a, want.outputs[i]), output_values(b, got.outputs[i]));
    EXPECT_LE(error, 2e-6) << "output " << want.outputs[i].name;
  }
}

/// Outputs for every head of a draft, so that drafts compare like networks.
inline Network with_head_outputs(const Draft& draft) {
  Network n = draft.network;
  for (const Head& h : draft.heads)
    n.outputs.push_back(
        {h.name, h.tensor, 0, n.tensors[h.tensor].channels, h.columns, h.sigmoid, h.batch_dim});
  return n;
}

inline void expect_same_drafts(const Draft& want, const Draft& got) {
  expect_same_outputs(with_head_outputs(want), with_head_outputs(got), want.height, want.width);
}

}  // namespace face::test
