// SPDX-License-Identifier: MIT
// Epilogues: activations and sums move into the operation that produces their input.
#include <utility>

#include "weights_tool/passes/passes.h"

namespace face {
namespace {

void take_activation(Op& op, const Op& from) {
  op.activation = from.activation;
  op.clip_low = from.clip_low;
  op.clip_high = from.clip_high;
  op.slopes = from.slopes;
  op.output = from.output;
}

bool takes_activation(const Op& op) {
  return op.activation == Activation::kNone &&
         (op.kind == OpKind::kConv || op.kind == OpKind::kFullyConnected ||
          op.kind == OpKind::kAdd || op.kind == OpKind::kAffine);
}

bool attach_one_activation(Draft& draft) {
  const Links links(draft);
  std::vector<Op>& ops = draft.network.ops;
  for (Op& op : ops) {
    const int next = links.only_reader(op.output);
    if (next < 0 || !takes_activation(op) || ops[next].kind != OpKind::kActivation) continue;
    take_activation(op, ops[next]);
    ops.erase(ops.begin() + next);
    return true;
  }
  return false;
}

/// A convolution whose output only one sum reads, and nothing was attached to yet.
bool can_add(const Draft& draft, const Links& links, TensorId tensor) {
  const int writer = links.writer[tensor];
  if (writer < 0 || links.only_reader(tensor) < 0) return false;
  const Op& op = draft.network.ops[writer];
  return op.kind == OpKind::kConv && op.activation == Activation::kNone && op.addend == kNoTensor;
}

/// The tensor that `tensor` upsamples for one reader only, or kNoTensor.
TensorId upsampled_source(const Draft& draft, const Links& links, TensorId tensor) {
  const int writer = links.writer[tensor];
  if (writer < 0 || links.only_reader(tensor) < 0) return kNoTensor;
  const Op& op = draft.network.ops[writer];
  return op.kind == OpKind::kUpsample2x ? op.input : kNoTensor;
}

/// Of two convolutions that could take the sum, the one with more work per pixel.
bool second_is_better(const Draft& draft, const Links& links, const Op& add) {
  const bool first = can_add(draft, links, add.input), second = can_add(draft, links, add.addend);
  if (!first || !second) return second;
  const std::vector<Op>& ops = draft.network.ops;
  return ops[links.writer[add.addend]].weights.size() > ops[links.writer[add.input]].weights.size();
}

/// Moves an upsampling into the sum that alone reads it.
bool attach_upsampling(Draft& draft, const Links& links, Op& add) {
  if (add.kind != OpKind::kAdd || add.addend_upsampled) return false;
  if (upsampled_source(draft, links, add.addend) == kNoTensor) {
    if (upsampled_source(draft, links, add.input) == kNoTensor) return false;
    std::swap(add.input, add.addend);
  }
  add.addend = upsampled_source(draft, links, add.addend);
  add.addend_upsampled = true;
  return true;
}

/// Puts the convolution where the sum was: its own input was there before, and so is the addend.
bool attach_sum(Draft& draft, const Links& links, size_t index) {
  std::vector<Op>& ops = draft.network.ops;
  Op& add = ops[index];
  if (add.kind != OpKind::kAdd || add.input == add.addend) return false;
  if (!add.addend_upsampled && second_is_better(draft, links, add))
    std::swap(add.input, add.addend);
  if (!can_add(draft, links, add.input)) return false;
  const int writer = links.writer[add.input];
  Op conv = ops[writer];
  conv.addend = add.addend;
  conv.addend_upsampled = add.addend_upsampled;
  take_activation(conv, add);
  add = std::move(conv);
  ops.erase(ops.begin() + writer);
  return true;
}

bool attach_one_sum(Draft& draft) {
  const Links links(draft);
  for (size_t i = 0; i < draft.network.ops.size(); ++i)
    if (attach_upsampling(draft, links, draft.network.ops[i]) || attach_sum(draft, links, i))
      return true;
  return false;
}

}  // namespace

void attach_activations(Draft& draft) {
  while (attach_one_activation(draft)) {
  }
}

void attach_addends(Draft& draft) {
  while (attach_one_sum(draft)) remove_unused(draft);
}

}  // namespace face
