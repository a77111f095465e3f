// SPDX-License-Identifier: MIT
#include "engine/cpu/fusion.h"

#include <algorithm>
#include <memory>

#include "engine/cpu/arena.h"

namespace face::cpu {
namespace {

bool is_window(const Op& op, int kernel, int stride) {
  return op.kernel_h == kernel && op.kernel_w == kernel && op.stride_h == stride &&
         op.stride_w == stride;
}

bool is_padded(const Op& op) {
  return op.pad_top != 0 || op.pad_left != 0 || op.pad_bottom != 0 || op.pad_right != 0;
}

bool is_2x2_max(const Op& op) {
  return op.kind == OpKind::kMaxPool && op.activation == Activation::kNone && is_window(op, 2, 2) &&
         !is_padded(op);
}

bool can_pool(const Op& op, const Shape& out) {
  return op.kind == OpKind::kConv && op.addend == kNoTensor &&
         op.activation != Activation::kSigmoid && out.height % 2 == 0 && out.width % 2 == 0;
}

bool is_pointwise(const Op& op) {
  return op.kind == OpKind::kConv && op.groups == 1 && is_window(op, 1, 1) && !is_padded(op);
}

bool is_depthwise(const Op& op, const Network& network) {
  return op.kind == OpKind::kConv && op.groups == network.tensors[op.input].channels &&
         op.groups == network.tensors[op.output].channels && op.groups > 1 &&
         op.stride_h == op.stride_w && op.addend == kNoTensor &&
         op.activation != Activation::kSigmoid && !op.max_pooled;
}

/// The op whose output is read by `reader` alone, as its input; end() if there is none.
std::vector<Op>::iterator only_source(Network& network, const std::vector<bool>& leaving,
                                      const Op& reader) {
  int readers = 0;
  for (const Op& op : network.ops)
    readers += (op.input == reader.input) + (op.addend == reader.input);
  if (readers != 1 || leaving[reader.input]) return network.ops.end();
  return std::find_if(network.ops.begin(), network.ops.end(),
                      [&](const Op& op) { return op.output == reader.input; });
}

void fuse_max_pools(Network& network, const std::vector<Shape>& shapes,
                    const std::vector<bool>& leaving) {
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    if (!is_2x2_max(op)) continue;
    const auto conv = only_source(network, leaving, op);
    if (conv == network.ops.end() || !can_pool(*conv, shapes[op.input])) continue;
    conv->max_pooled = true;
    conv->output = op.output;
    network.ops.erase(network.ops.begin() + static_cast<std::ptrdiff_t>(i--));
  }
}

void fuse_depthwise(Network& network, const std::vector<bool>& leaving) {
  for (size_t i = 0; i < network.ops.size(); ++i) {
    Op& op = network.ops[i];
    if (!is_pointwise(op) || op.max_pooled) continue;
    const auto before = only_source(network, leaving, op);
    if (before == network.ops.end() || !is_depthwise(*before, network)) continue;
    op.depthwise = std::make_shared<const Op>(*before);
    op.input = before->input;
    network.ops.erase(before);
    --i;  // what follows moved down
  }
}

}  // namespace

Network fuse(const Network& network, const std::vector<Shape>& shapes) {
  const std::vector<bool> leaving = leaving_tensors(network);
  Network fused = network;
  fuse_max_pools(fused, shapes, leaving);
  fuse_depthwise(fused, leaving);
  return fused;
}

}  // namespace face::cpu
