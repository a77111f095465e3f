// SPDX-License-Identifier: MIT
#include "weights_tool/synth/release_graph.h"

#include <cmath>
#include <memory>

namespace face::synth {
namespace {

constexpr float kBatchNormEpsilon = 1e-5f;
constexpr float kMomentum = 0.9f;
constexpr int64_t kMinCentred = 16;  // filters with fewer values keep their mean

/// Gives the values at `filter` mean 0 if `centred`, then the norm asked for.
void standardize(float* filter, int64_t count, double norm, bool centred) {
  double sum = 0, square = 0;
  for (int64_t i = 0; i < count; ++i) sum += filter[i];
  const auto mean = static_cast<float>(centred ? sum / static_cast<double>(count) : 0.0);
  for (int64_t i = 0; i < count; ++i) {
    filter[i] -= mean;
    square += static_cast<double>(filter[i]) * filter[i];
  }
  const auto scale = static_cast<float>(norm / std::sqrt(square));
  for (int64_t i = 0; i < count; ++i) filter[i] *= scale;
}

}  // namespace

ReleaseGraph::ReleaseGraph(std::string file, uint64_t seed, Dims input) : seed_(seed) {
  graph_.file = std::move(file);
  graph_.producer = kProducer;
  graph_.opset = 11;
  graph_.inputs = {{"input.1", std::move(input)}};
  values_["input.1"] = {3, 0.0, 0.25};  // a photo in -1 ... 1
}

/// Moments of max(x, 0) for normal x. The distribution and its density are rational functions here,
/// within 0.04, because erf and exp may differ between machines.
ReleaseGraph::Value ReleaseGraph::rectified(const Value& x) {
  const double deviation = std::sqrt(x.variance()), t = x.mean / deviation;
  const double below = 0.5 * (1 + t / std::sqrt(t * t + 1.6));
  const double density = 0.3989 / (1 + 0.49 * t * t + 0.16 * t * t * t * t);
  return {x.channels, x.mean * below + deviation * density,
          x.square * below + x.mean * deviation * density};
}

// ---- initializers

std::string ReleaseGraph::add_array(onnx::Array array) {
  std::string name = next_name();
  graph_.initializers[name] = std::make_shared<const onnx::Array>(std::move(array));
  return name;
}

std::string ReleaseGraph::ints(Dims dims, std::vector<int64_t> values) {
  return add_array({std::move(dims), false, {}, std::move(values)});
}

std::string ReleaseGraph::floats(Dims dims, std::vector<float> values) {
  return add_array({std::move(dims), true, std::move(values), {}});
}

std::string ReleaseGraph::random_array(Dims dims, float (*draw)(Random&)) {
  onnx::Array array{std::move(dims), true, {}, {}};
  Random random(seed_, graph_.file + ":" + std::to_string(next_name_));
  array.floats.resize(array.size());
  for (float& v : array.floats) v = draw(random);
  return add_array(std::move(array));
}

std::string ReleaseGraph::filters(const Value& x, const Dims& dims, double spread) {
  onnx::Array array{dims, true, {}, {}};
  Random random(seed_, graph_.file + ":" + std::to_string(next_name_));
  array.floats.resize(array.size());
  for (float& v : array.floats) v = random.normal();
  const int64_t fan_in = array.size() / dims[0];
  const bool centred = fan_in >= kMinCentred && x.mean > 0;
  const double norm = spread / std::sqrt(x.variance());
  for (int64_t o = 0; o < dims[0]; ++o)
    standardize(array.floats.data() + o * fan_in, fan_in, norm, centred);
  return add_array(std::move(array));
}

std::string ReleaseGraph::bias_for(const Value& x, const std::string& weights, const Start& start) {
  const onnx::Array& filters = *graph_.initializers.at(weights);
  const int64_t out = filters.dims[0], fan_in = filters.size() / out;
  if (!start.shared_bias.empty()) return start.shared_bias;
  if (!start.bias.empty()) return floats({out}, start.bias);
  onnx::Array array{{out}, true, {}, {}};
  Random random(seed_, graph_.file + ":" + std::to_string(next_name_));
  for (int64_t o = 0; o < out; ++o) {
    double sum = 0;
    for (int64_t i = 0; i < fan_in; ++i) sum += filters.floats[o * fan_in + i];
    array.floats.push_back(static_cast<float>(start.mean - sum * x.mean) + 0.1f * random.normal());
  }
  return add_array(std::move(array));
}

// ---- nodes

std::string ReleaseGraph::node(const std::string& op, std::vector<std::string> inputs,
                               Attributes attributes, const std::string& output) {
  std::string name = output.empty() ? next_name() : output;
  const auto first = values_.find(inputs.at(0));
  if (first != values_.end()) values_[name] = first->second;
  graph_.nodes.push_back({op,
                          op + "_" + std::to_string(graph_.nodes.size()),
                          std::move(inputs),
                          {name},
                          std::move(attributes)});
  return name;
}

std::string ReleaseGraph::conv(const std::string& x, const Conv& c, const Start& start) {
  const Value in = values_.at(x);
  const int64_t groups = c.depthwise ? in.channels : 1, pad = c.padded ? c.kernel / 2 : 0;
  const std::string weights =
      filters(in, {c.out, in.channels / groups, c.kernel, c.kernel}, start.spread);
  last_bias_ = bias_for(in, weights, start);
  std::string name = node("Conv", {x, weights, last_bias_},
                          {{"dilations", Dims{1, 1}},
                           {"group", groups},
                           {"kernel_shape", Dims{c.kernel, c.kernel}},
                           {"pads", Dims{pad, pad, pad, pad}},
                           {"strides", Dims{c.stride, c.stride}}});
  const double mean = start.mean;
  values_[name] = {c.out, mean, start.spread * start.spread + mean * mean};
  return name;
}

std::string ReleaseGraph::gemm(const std::string& x, int64_t in, int64_t out) {
  const Value value = values_.at(x);
  const std::string weights = filters(value, {out, in}, 1.0);
  std::string name = node("Gemm", {x, weights, bias_for(value, weights, {})},
                          {{"alpha", 1.f}, {"beta", 1.f}, {"transB", int64_t{1}}});
  values_[name] = {out, 0.0, 1.0};
  return name;
}

std::string ReleaseGraph::batch_norm(const std::string& x, const std::string& output) {
  const Value in = values_.at(x);
  const Dims dims{in.channels};
  const std::string gamma = random_array(dims, [](Random& r) { return r.uniform(0.5f, 1.5f); });
  const std::string beta = random_array(dims, [](Random& r) { return 0.1f * r.normal(); });
  const std::string mean =
      floats(dims, std::vector<float>(in.channels, static_cast<float>(in.mean)));
  const std::string variance =
      floats(dims, std::vector<float>(in.channels, static_cast<float>(in.variance())));
  std::string name = node("BatchNormalization", {x, gamma, beta, mean, variance},
                          {{"epsilon", kBatchNormEpsilon}, {"momentum", kMomentum}}, output);
  values_[name] = {in.channels, 0.0, 1.09};  // E[gamma^2] + E[beta^2]
  return name;
}

std::string ReleaseGraph::activation(const std::string& name, const Value& x, double slope_mean,
                                     double slope_square) {
  const Value positive = rectified(x);
  Value& out = values_[name];
  out.mean = slope_mean * x.mean + (1 - slope_mean) * positive.mean;
  out.square = slope_square * x.square + (1 - slope_square) * positive.square;
  return name;
}

std::string ReleaseGraph::relu(const std::string& x) {
  return activation(node("Relu", {x}), values_.at(x), 0.0, 0.0);
}

std::string ReleaseGraph::prelu(const std::string& x) {
  const std::string slopes =
      random_array({channels(x), 1, 1}, [](Random& r) { return r.uniform(0.f, 0.5f); });
  return activation(node("PRelu", {x, slopes}), values_.at(x), 0.25, 1.0 / 12);
}

std::string ReleaseGraph::add(const std::string& a, const std::string& b) {
  const Value& u = values_.at(a);
  const Value& v = values_.at(b);
  const double mean = u.mean + v.mean;
  const Value sum{u.channels, mean, u.variance() + v.variance() + mean * mean};
  std::string name = node("Add", {a, b});
  values_[name] = sum;
  return name;
}

void ReleaseGraph::output(const std::string& name, Dims dims) {
  graph_.outputs.push_back({name, std::move(dims)});
}

}  // namespace face::synth
