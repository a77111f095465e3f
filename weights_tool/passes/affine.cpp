// SPDX-License-Identifier: MIT
// Affines: what BatchNorms and constant factors become, folded into their neighbours.
#include <algorithm>
#include <utility>

#include "weights_tool/passes/passes.h"

namespace face {
namespace {

/// y = x * scale[c] + shift[c].
struct Affine {
  std::vector<double> scale, shift;
};

Affine affine_of(const Op& op) {
  Affine a;
  a.scale.assign(op.weights.begin(), op.weights.end());
  a.shift.assign(op.bias.begin(), op.bias.end());
  a.shift.resize(a.scale.size(), 0.0);
  return a;
}

bool is_plain_affine(const Op& op) {
  return op.kind == OpKind::kAffine && op.activation == Activation::kNone;
}

bool is_layer(const Op& op) {
  return op.kind == OpKind::kConv || op.kind == OpKind::kFullyConnected;
}

std::vector<float> to_floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

void set_bias(Draft& draft, Op& op, BiasKind kind, const std::vector<double>& values) {
  op.bias_kind = kind;
  op.bias = draft.arrays.add(to_floats(values));
}

/// Gives `op` what `next` writes and applies, and removes `next`, which only reads `op`.
void absorb(Draft& draft, int op, int next) {
  std::vector<Op>& ops = draft.network.ops;
  ops[op].output = ops[next].output;
  ops[op].activation = ops[next].activation;
  ops[op].clip_low = ops[next].clip_low;
  ops[op].clip_high = ops[next].clip_high;
  ops[op].slopes = ops[next].slopes;
  ops.erase(ops.begin() + next);
}

void scale_outputs(Draft& draft, Op& op, const Affine& a) {
  const size_t out = a.scale.size(), per_output = op.weights.size() / out;
  std::vector<float> weights(op.weights.size());
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<float>(op.weights[i] * a.scale[i / per_output]);
  const size_t rows = op.bias_kind == BiasKind::kBorder9 ? 9 : 1;
  std::vector<double> bias(op.bias.begin(), op.bias.end());
  bias.resize(rows * out, 0.0);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = bias[i] * a.scale[i % out] + a.shift[i % out];
  op.weights = draft.arrays.add(std::move(weights));
  set_bias(draft, op, rows == 9 ? BiasKind::kBorder9 : BiasKind::kPerChannel, bias);
}

bool fold_one_after(Draft& draft) {
  const Links links(draft);
  std::vector<Op>& ops = draft.network.ops;
  for (size_t i = 0; i < ops.size(); ++i) {
    const int next = links.only_reader(ops[i].output);
    if (!is_layer(ops[i]) || ops[i].activation != Activation::kNone || ops[i].addend != kNoTensor ||
        next < 0 || ops[next].kind != OpKind::kAffine)
      continue;
    scale_outputs(draft, ops[i], affine_of(ops[next]));
    absorb(draft, static_cast<int>(i), next);
    return true;
  }
  return false;
}

bool merge_one(Draft& draft) {
  const Links links(draft);
  std::vector<Op>& ops = draft.network.ops;
  for (size_t i = 0; i < ops.size(); ++i) {
    const int next = links.only_reader(ops[i].output);
    if (!is_plain_affine(ops[i]) || next < 0 || ops[next].kind != OpKind::kAffine) continue;
    Affine a = affine_of(ops[i]);
    const Affine b = affine_of(ops[next]);
    for (size_t c = 0; c < a.scale.size(); ++c) {
      a.scale[c] *= b.scale[c];
      a.shift[c] = a.shift[c] * b.scale[c] + b.shift[c];
    }
    ops[i].weights = draft.arrays.add(to_floats(a.scale));
    set_bias(draft, ops[i], BiasKind::kPerChannel, a.shift);
    absorb(draft, static_cast<int>(i), next);
    return true;
  }
  return false;
}

// ---- before a layer

bool has_padding(const Op& op) {
  return op.pad_top + op.pad_left + op.pad_bottom + op.pad_right > 0;
}

bool is_3x3_pad_1(const Op& op) {
  return op.kernel_h == 3 && op.kernel_w == 3 && op.pad_top == 1 && op.pad_left == 1 &&
         op.pad_bottom == 1 && op.pad_right == 1;
}

bool takes_affine_before(const Op& op, const Affine& a, const Shape& in) {
  if (op.kind == OpKind::kFullyConnected) return true;
  if (op.kind != OpKind::kConv) return false;
  const bool no_shift =
      std::all_of(a.shift.begin(), a.shift.end(), [](double s) { return s == 0; });
  if (!has_padding(op) || no_shift) return true;
  return is_3x3_pad_1(op) && op.bias_kind != BiasKind::kBorder9 && in.height >= 2 && in.width >= 2;
}

/// Whether tap `k` of 3 lies inside the input for border class `c` (0 first, 1 inner, 2 last).
bool tap_inside(int k, int c) { return !(c == 0 && k == 0) && !(c == 2 && k == 2); }

/// Per output channel and tap, the sum over input channels of weight * shift: (out, taps).
std::vector<double> shift_sums(const Op& op, const Affine& a, size_t out, size_t taps) {
  const size_t in_per_group = op.weights.size() / (out * taps);
  const size_t out_per_group = out / op.groups;
  std::vector<double> sums(out * taps, 0.0);
  for (size_t o = 0; o < out; ++o)
    for (size_t i = 0; i < in_per_group; ++i) {
      const size_t channel = o / out_per_group * in_per_group + i;
      for (size_t t = 0; t < taps; ++t)
        sums[o * taps + t] += op.weights[(o * in_per_group + i) * taps + t] * a.shift[channel];
    }
  return sums;
}

std::vector<double> plain_bias(const Op& op, const std::vector<double>& sums, size_t out) {
  const size_t taps = sums.size() / out;
  std::vector<double> bias(op.bias.begin(), op.bias.end());
  bias.resize(op.bias_kind == BiasKind::kBorder9 ? 9 * out : out, 0.0);
  for (size_t i = 0; i < bias.size(); ++i)
    for (size_t t = 0; t < taps; ++t) bias[i] += sums[i % out * taps + t];
  return bias;
}

std::vector<double> border_bias(const Op& op, const std::vector<double>& sums, size_t out) {
  std::vector<double> bias(9 * out, 0.0);
  for (int row = 0; row < 9; ++row)
    for (size_t o = 0; o < out; ++o) {
      double& sum = bias[row * out + o];
      if (op.bias_kind == BiasKind::kPerChannel) sum = op.bias[o];
      for (int t = 0; t < 9; ++t)
        if (tap_inside(t / 3, row / 3) && tap_inside(t % 3, row % 3)) sum += sums[o * 9 + t];
    }
  return bias;
}

void scale_inputs(Draft& draft, Op& op, const Affine& a, size_t taps) {
  const size_t out = draft.network.tensors[op.output].channels;
  const size_t in_per_group = op.weights.size() / (out * taps);
  const size_t out_per_group = out / op.groups;
  std::vector<float> weights(op.weights.size());
  for (size_t o = 0; o < out; ++o)
    for (size_t i = 0; i < in_per_group; ++i) {
      const double scale = a.scale[o / out_per_group * in_per_group + i];
      const size_t at = (o * in_per_group + i) * taps;
      for (size_t t = at; t < at + taps; ++t)
        weights[t] = static_cast<float>(op.weights[t] * scale);
    }
  op.weights = draft.arrays.add(std::move(weights));
}

void fold_into(Draft& draft, Op& op, const Affine& a) {
  const size_t out = draft.network.tensors[op.output].channels;
  const size_t taps = op.kind == OpKind::kConv ? op.kernel_h * op.kernel_w
                                               : op.weights.size() / (out * a.scale.size());
  const std::vector<double> sums = shift_sums(op, a, out, taps);
  const bool shifts = std::any_of(sums.begin(), sums.end(), [](double s) { return s != 0; });
  scale_inputs(draft, op, a, taps);
  if (!shifts) return;
  if (has_padding(op))
    set_bias(draft, op, BiasKind::kBorder9, border_bias(op, sums, out));
  else
    set_bias(draft, op, BiasKind::kPerChannel, plain_bias(op, sums, out));
}

bool fold_one_before(Draft& draft) {
  const Links links(draft);
  std::vector<Op>& ops = draft.network.ops;
  const auto shapes = infer_shapes(draft.network, draft.height, draft.width);
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!is_plain_affine(ops[i])) continue;
    const Affine a = affine_of(ops[i]);
    const std::vector<int>& readers = links.readers[ops[i].output];
    const bool all_take = std::all_of(readers.begin(), readers.end(), [&](int r) {
      return r >= 0 && ops[r].input == ops[i].output && ops[r].addend != ops[i].output &&
             takes_affine_before(ops[r], a, shapes[ops[i].output]);
    });
    if (!all_take || readers.empty()) continue;
    for (int r : readers) {
      fold_into(draft, ops[r], a);
      ops[r].input = ops[i].input;
    }
    ops.erase(ops.begin() + static_cast<int64_t>(i));
    return true;
  }
  return false;
}

}  // namespace

void merge_affines(Draft& draft) {
  while (merge_one(draft)) {
  }
}

void fold_affine_after(Draft& draft) {
  while (fold_one_after(draft)) draft.arrays.keep_used(draft.network);
}

void fold_affine_before(Draft& draft) {
  while (fold_one_before(draft)) draft.arrays.keep_used(draft.network);
}

void fold_input_normalisation(Draft& draft) {
  Network& n = draft.network;
  const int first = Links(draft).only_reader(n.input.tensor);
  if (first < 0 || !draft.begins_with_arithmetic || !is_plain_affine(n.ops[first])) return;
  const Affine a = affine_of(n.ops[first]);
  const auto uniform = [](const std::vector<double>& v) {
    return std::all_of(v.begin(), v.end(), [&](double x) { return x == v[0]; });
  };
  if (!uniform(a.scale) || !uniform(a.shift) || !(a.scale[0] > 0)) return;
  n.input.onnx_mean = static_cast<float>(-a.shift[0] / a.scale[0]);
  n.input.onnx_scale = static_cast<float>(a.scale[0]);
  n.input.tensor = n.ops[first].output;
  n.ops.erase(n.ops.begin() + first);
}

}  // namespace face
