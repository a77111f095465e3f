// SPDX-License-Identifier: MIT
// Dead code, and the order of all passes.
#include <algorithm>
#include <utility>

#include "weights_tool/passes/passes.h"

namespace face {
namespace {

/// Applies `f` to every tensor id in the network.
template <typename F>
void for_each_id(Draft& draft, F f) {
  Network& n = draft.network;
  f(n.input.tensor);
  for (Op& op : n.ops) {
    f(op.input);
    f(op.output);
    if (op.addend != kNoTensor) f(op.addend);
  }
  for (Output& output : n.outputs) f(output.tensor);
  for (DetectorLevel& level : n.levels) f(level.tensor);
  for (Head& head : draft.heads) f(head.tensor);
}

void remove_unused_ops(Draft& draft) {
  Network& n = draft.network;
  std::vector<bool> needed(n.tensors.size(), false);
  for (const Output& output : n.outputs) needed[output.tensor] = true;
  for (const Head& head : draft.heads) needed[head.tensor] = true;
  std::vector<Op> kept;
  for (size_t i = n.ops.size(); i-- > 0;) {
    Op& op = n.ops[i];
    if (!needed[op.output]) continue;
    needed[op.input] = true;
    if (op.addend != kNoTensor) needed[op.addend] = true;
    kept.push_back(std::move(op));
  }
  std::reverse(kept.begin(), kept.end());
  n.ops = std::move(kept);
}

void remove_unused_tensors(Draft& draft) {
  Network& n = draft.network;
  std::vector<TensorId> renumbered(n.tensors.size(), kNoTensor);
  for_each_id(draft, [&](TensorId& id) { renumbered[id] = 0; });
  std::vector<Tensor> kept;
  for (size_t i = 0; i < n.tensors.size(); ++i) {
    if (renumbered[i] == kNoTensor) continue;
    renumbered[i] = static_cast<TensorId>(kept.size());
    kept.push_back(std::move(n.tensors[i]));
  }
  n.tensors = std::move(kept);
  for_each_id(draft, [&](TensorId& id) { id = renumbered[id]; });
}

}  // namespace

void remove_unused(Draft& draft) {
  remove_unused_ops(draft);
  remove_unused_tensors(draft);
  draft.arrays.keep_used(draft.network);
}

void run_passes_before_heads(Draft& draft) {
  remove_unused(draft);
  merge_affines(draft);
  fold_input_normalisation(draft);
  fold_affine_after(draft);
  fold_affine_before(draft);
  fold_pool_into_conv(draft);
  attach_activations(draft);
  attach_addends(draft);
  attach_activations(draft);
}

void run_passes(Draft& draft) {
  run_passes_before_heads(draft);
  merge_heads(draft);
  remove_unused(draft);
}

}  // namespace face
