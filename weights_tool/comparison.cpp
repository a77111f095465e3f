// SPDX-License-Identifier: MIT
#include "weights_tool/comparison.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/reference/network_interpreter.h"
#include "weights_tool/graph_interpreter.h"
#include "weights_tool/synth/random.h"

namespace face {
namespace {

constexpr int kHeight = 64, kWidth = 96;  // of a picture that may have any size
constexpr int kChannels = 3;

/// The network's own input for a picture of uniform noise.
reference::Values noise_picture(const onnx::Graph& graph, const Network& network) {
  const std::vector<int64_t>& dims = graph.inputs.at(0).dims;
  const auto side = [&](size_t axis, int own, int fallback) {
    if (dims.size() == 4 && dims[axis] > 0) return static_cast<int>(dims[axis]);
    return own > 0 ? own : fallback;
  };
  const Input& input = network.input;
  reference::Values picture{
      {kChannels, side(2, input.height, kHeight), side(3, input.width, kWidth)}, {}};
  synth::Random random(0, "verify");
  const int64_t count = int64_t{kChannels} * picture.shape.height * picture.shape.width;
  for (int64_t i = 0; i < count; ++i)
    picture.data.push_back((random.uniform(0.f, 255.f) - input.pixel_mean) * input.pixel_scale);
  return picture;
}

std::vector<onnx::Values> run_graph(const onnx::Graph& graph, const Input& input,
                                    const reference::Values& picture) {
  onnx::Values x{{1, kChannels, picture.shape.height, picture.shape.width}, picture.data, false};
  for (double& v : x.data) v = v / input.onnx_scale + input.onnx_mean;
  return onnx::interpret(graph, {{graph.inputs.at(0).name, std::move(x)}});
}

/// An output as the ONNX graph has it: rows of pixels, channels fastest.
std::vector<double> rows_of(const Output& output, const reference::Values& tensor) {
  std::vector<double> rows;
  for (int y = 0; y < tensor.shape.height; ++y) {
    for (int x = 0; x < tensor.shape.width; ++x) {
      for (int c = 0; c < output.channel_count; ++c) {
        const double v = tensor.at(output.channel_begin + c, y, x);
        rows.push_back(output.sigmoid ? 1 / (1 + std::exp(-v)) : v);
      }
    }
  }
  return rows;
}

OutputError measure(const std::string& name, const onnx::Values& want,
                    const std::vector<double>& got) {
  OutputError error{name, want.dims, 0, 0};
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(got[i] - want.data[i]);
    if (d > error.max_absolute || std::isnan(d)) error.max_absolute = d;
    difference += d * d;
    norm += want.data[i] * want.data[i];
  }
  error.relative_l2 = difference == 0 ? 0 : std::sqrt(difference / norm);
  return error;
}

}  // namespace

std::vector<OutputError> compare(const onnx::Graph& graph, const Network& network) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ErrorKind::kBadModel, graph.file + ": " + reason);
  };
  if (network.outputs.size() != graph.outputs.size())
    fail(std::to_string(graph.outputs.size()) + " outputs, the weight file has " +
         std::to_string(network.outputs.size()));
  if (graph.inputs.size() != 1) fail(std::to_string(graph.inputs.size()) + " inputs, want one");
  const reference::Values picture = noise_picture(graph, network);
  const std::vector<onnx::Values> want = run_graph(graph, network.input, picture);
  const std::vector<reference::Values> tensors = reference::run(network, picture);
  std::vector<OutputError> errors;
  for (size_t i = 0; i < want.size(); ++i) {
    const std::string& name = graph.outputs[i].name;
    const auto found = std::find_if(network.outputs.begin(), network.outputs.end(),
                                    [&](const Output& o) { return o.name == name; });
    if (found == network.outputs.end()) fail("output '" + name + "' is not in the weight file");
    const std::vector<double> got = rows_of(*found, tensors[found->tensor]);
    if (got.size() != want[i].data.size())
      fail("output '" + name + "' has " + std::to_string(want[i].data.size()) +
           " values, the weight file's " + std::to_string(got.size()));
    errors.push_back(measure(name, want[i], got));
  }
  return errors;
}

}  // namespace face
