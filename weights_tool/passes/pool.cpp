// SPDX-License-Identifier: MIT
// An average pool and a 1x1 convolution are one 2x2/2 convolution.
#include <utility>

#include "weights_tool/passes/passes.h"

namespace face {
namespace {

/// Whether a map of `size` pixels, where the input has `full`, is even for every input the network
/// takes: multiples of 32 for a detector, `full` itself for a recogniser.
bool always_even(const Draft& draft, int size, int full) {
  if (draft.network.role == NetworkRole::kRecogniser) return size % 2 == 0;
  if (size % 2 != 0 || full % size != 0) return false;
  return 32 % (2 * (full / size)) == 0;
}

bool is_2x2_average(const Op& op) {
  return op.kind == OpKind::kAveragePool && op.kernel_h == 2 && op.kernel_w == 2 &&
         op.stride_h == 2 && op.stride_w == 2 &&
         op.pad_top + op.pad_left + op.pad_bottom + op.pad_right == 0 &&
         op.activation == Activation::kNone;
}

bool is_1x1(const Op& op) {
  return op.kind == OpKind::kConv && op.kernel_h == 1 && op.kernel_w == 1 && op.stride_h == 1 &&
         op.stride_w == 1 && op.pad_top + op.pad_left + op.pad_bottom + op.pad_right == 0;
}

bool fold_one(Draft& draft) {
  const Links links(draft);
  std::vector<Op>& ops = draft.network.ops;
  const auto shapes = infer_shapes(draft.network, draft.height, draft.width);
  for (size_t i = 0; i < ops.size(); ++i) {
    const int next = links.only_reader(ops[i].output);
    const Shape& in = shapes[ops[i].input];
    if (!is_2x2_average(ops[i]) || next < 0 || !is_1x1(ops[next]) ||
        ops[next].addend == ops[i].output || !always_even(draft, in.height, draft.height) ||
        !always_even(draft, in.width, draft.width))
      continue;
    Op& conv = ops[next];
    std::vector<float> weights;
    weights.reserve(4 * conv.weights.size());
    for (float w : conv.weights) weights.insert(weights.end(), 4, 0.25f * w);
    conv.weights = draft.arrays.add(std::move(weights));
    conv.kernel_h = conv.kernel_w = conv.stride_h = conv.stride_w = 2;
    conv.input = ops[i].input;
    ops.erase(ops.begin() + static_cast<int64_t>(i));
    return true;
  }
  return false;
}

}  // namespace

void fold_pool_into_conv(Draft& draft) {
  while (fold_one(draft)) draft.arrays.keep_used(draft.network);
}

}  // namespace face
