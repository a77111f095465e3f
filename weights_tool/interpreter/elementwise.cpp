// SPDX-License-Identifier: MIT
// Ops that work element by element, broadcasting included.
#include <algorithm>
#include <cmath>
#include <limits>

#include "weights_tool/interpreter/ops.h"

namespace face::onnx::interpreter {
namespace {

constexpr int64_t kFloat = 1, kFloat16 = 10, kDouble = 11, kBool = 9;  // TensorProto.DataType

Dims broadcast_dims(const Call& call, const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    call.require(da == db || da == 1 || db == 1, "shapes do not broadcast");
    out[out.size() - 1 - i] = da == 1 ? db : da;
  }
  return out;
}

/// Index into an array of dims `from` for element `i` of one of dims `to`.
int64_t broadcast_index(int64_t i, const Dims& from, const Dims& to) {
  int64_t index = 0, stride = 1;
  for (size_t a = 0; a < from.size(); ++a) {
    const int64_t d = from[from.size() - 1 - a], t = to[to.size() - 1 - a];
    if (d != 1) index += i % t * stride;
    i /= t;
    stride *= d;
  }
  return index;
}

/// f(a, b) for every pair that broadcasting brings together.
template <typename F>
Values broadcast(const Call& call, const Values& a, const Values& b, const F& f) {
  Values out{broadcast_dims(call, a.dims, b.dims), {}, a.integer && b.integer};
  const int64_t total = count(out.dims);
  out.data.resize(total);
  for (int64_t i = 0; i < total; ++i)
    out.data[i] = f(a.dims == out.dims ? a.data[i] : a.data[broadcast_index(i, a.dims, out.dims)],
                    b.dims == out.dims ? b.data[i] : b.data[broadcast_index(i, b.dims, out.dims)]);
  return out;
}

double apply(const Call& call, double alpha, double x) {
  const std::string& op = call.node.op_type;
  if (op == "Relu") return x < 0 ? 0 : x;
  if (op == "LeakyRelu") return x < 0 ? alpha * x : x;
  if (op == "Sigmoid") return 1 / (1 + std::exp(-x));
  if (op == "Neg") return -x;
  if (op == "Reciprocal") return 1 / x;
  if (op == "Sqrt") return std::sqrt(x);
  if (op == "Floor") return std::floor(x);
  return std::ceil(x);
}

}  // namespace

Values binary(const Call& call) {
  const Values &a = call.in(0), &b = call.in(1);
  const std::string& op = call.node.op_type;
  if (op == "Add") return broadcast(call, a, b, [](double x, double y) { return x + y; });
  if (op == "Sub") return broadcast(call, a, b, [](double x, double y) { return x - y; });
  if (op == "Mul") return broadcast(call, a, b, [](double x, double y) { return x * y; });
  if (a.integer && b.integer)
    return broadcast(call, a, b, [](double x, double y) { return std::trunc(x / y); });
  return broadcast(call, a, b, [](double x, double y) { return x / y; });
}

Values unary(const Call& call) {
  Values out = call.in(0);
  const double alpha = float_attribute(call.node, "alpha", 0.01f);
  for (double& v : out.data) v = apply(call, alpha, v);
  return out;
}

Values prelu(const Call& call) {
  const Values& x = call.in(0);
  Values out = broadcast(call, x, call.in(1), [](double v, double s) { return v < 0 ? v * s : v; });
  call.require(out.dims == x.dims, "slopes do not broadcast to the input");
  return out;
}

Values clip(const Call& call) {
  const auto limit = [&](const char* name, size_t i, float fallback) -> double {
    if (call.opset < 11) return float_attribute(call.node, name, fallback);
    return call.has(i) ? call.number(i) : fallback;
  };
  const double low = limit("min", 1, std::numeric_limits<float>::lowest());
  const double high = limit("max", 2, std::numeric_limits<float>::max());
  Values out = call.in(0);
  for (double& v : out.data) v = std::min(std::max(v, low), high);
  return out;
}

Values cast(const Call& call) {
  const int64_t to = int_attribute(call.node, "to", 0);
  Values out = call.in(0);
  const bool to_float = to == kFloat || to == kFloat16 || to == kDouble;
  if (!to_float)
    for (double& v : out.data) v = to == kBool ? static_cast<double>(v != 0) : std::trunc(v);
  out.integer = !to_float;
  return out;
}

Values identity(const Call& call) { return call.in(0); }

Values batch_normalization(const Call& call) {
  Values out = call.in(0);
  call.require(out.dims.size() >= 2, "input has no channels");
  call.require(int_attribute(call.node, "training_mode", 0) == 0, "is in training mode");
  const double epsilon = float_attribute(call.node, "epsilon", 1e-5f);
  call.require(!out.data.empty(), "input has no elements");
  const int64_t channels = out.dims[1], inner = count(out.dims) / (out.dims[0] * channels);
  for (size_t i = 1; i <= 4; ++i)
    call.require(call.in(i).dims == Dims{channels}, "parameters do not fit the channels");
  const auto &gamma = call.in(1).data, &beta = call.in(2).data;
  const auto &mean = call.in(3).data, &variance = call.in(4).data;
  for (size_t i = 0; i < out.data.size(); ++i) {
    const size_t c = i / inner % channels;
    out.data[i] = (out.data[i] - mean[c]) / std::sqrt(variance[c] + epsilon) * gamma[c] + beta[c];
  }
  return out;
}

}  // namespace face::onnx::interpreter
