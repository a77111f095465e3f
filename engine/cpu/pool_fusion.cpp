// SPDX-License-Identifier: MIT
#include "engine/cpu/pool_fusion.h"

#include <algorithm>

#include "engine/cpu/arena.h"

namespace face::cpu {
namespace {

bool is_2x2_max(const Op& op) {
  return op.kind == OpKind::kMaxPool && op.activation == Activation::kNone && op.kernel_h == 2 &&
         op.kernel_w == 2 && op.stride_h == 2 && op.stride_w == 2 && op.pad_top == 0 &&
         op.pad_left == 0 && op.pad_bottom == 0 && op.pad_right == 0;
}

bool can_pool(const Op& op, const Shape& out) {
  return op.kind == OpKind::kConv && op.addend == kNoTensor &&
         op.activation != Activation::kSigmoid && out.height % 2 == 0 && out.width % 2 == 0;
}

int readers(const Network& network, TensorId id) {
  int count = 0;
  for (const Op& op : network.ops) count += (op.input == id) + (op.addend == id);
  return count;
}

}  // namespace

Network fuse_max_pools(const Network& network, const std::vector<Shape>& shapes) {
  const std::vector<bool> leaving = leaving_tensors(network);
  Network fused = network;
  fused.ops.clear();
  for (const Op& op : network.ops) {
    const auto before = std::find_if(fused.ops.begin(), fused.ops.end(), [&](const Op& other) {
      return is_2x2_max(op) && other.output == op.input && can_pool(other, shapes[op.input]);
    });
    if (before == fused.ops.end() || leaving[op.input] || readers(network, op.input) > 1) {
      fused.ops.push_back(op);
      continue;
    }
    before->max_pooled = true;
    before->output = op.output;
  }
  return fused;
}

}  // namespace face::cpu
