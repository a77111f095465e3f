// SPDX-License-Identifier: MIT
#include "engine/cuda/cudnn_problem.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "kernels/math/half.h"

namespace face::cuda::cudnn {

std::string Problem::pattern() const {
  std::string text = "conv";
  if (addend) text += "+add";
  if (bias) text += "+bias";
  if (relu) text += "+relu";
  if (finish) text += ",finish";
  return text;
}

std::string Problem::key() const {
  std::ostringstream key;
  key << pattern() << ' ' << in_h << 'x' << in_w << 'x' << in_c << ' ' << out_h << 'x' << out_w
      << 'x' << out_c << " k" << kernel_h << 'x' << kernel_w << " s" << stride_h << 'x' << stride_w
      << " p" << pad_top << ',' << pad_left << ',' << pad_bottom << ',' << pad_right << " b"
      << batch;
  return key.str();
}

std::optional<Problem> problem_of(const Op& op, const OpParams& p, ElementType type) {
  const bool is_conv = op.kind == OpKind::kConv || op.kind == OpKind::kFullyConnected;
  if (!is_conv || type != ElementType::kHalf || p.groups != 1) return std::nullopt;
  // pointwise() finds the border by the size of its input, which is the output here.
  if (p.border_bias && (p.in_h != p.out_h || p.in_w != p.out_w)) return std::nullopt;
  Problem q;
  q.batch = p.batch;
  q.in_h = p.in_h, q.in_w = p.in_w, q.in_c = padded(p.in_c);
  q.out_h = p.out_h, q.out_w = p.out_w, q.out_c = padded(p.out_c);
  q.kernel_h = p.kernel_h, q.kernel_w = p.kernel_w;
  q.stride_h = p.stride_h, q.stride_w = p.stride_w;
  q.pad_top = p.pad_top, q.pad_left = p.pad_left;
  q.pad_bottom = p.pad_bottom, q.pad_right = p.pad_right;
  q.finish = p.border_bias || p.addend_upsampled ||
             (p.activation != Act::kNone && p.activation != Act::kRelu) ||
             std::any_of(op.bias.begin(), op.bias.end(),
                         [](float b) { return !(std::abs(b) <= kHalfMax); });
  q.addend = !q.finish && op.addend != kNoTensor;
  q.bias = !q.finish && !op.bias.empty();
  q.relu = !q.finish && p.activation == Act::kRelu;
  return q;
}

size_t weight_count(const OpParams& p) {
  return size_t(padded(p.out_c)) * p.kernel_h * p.kernel_w * padded(p.in_c);
}

void pack_weights(const OpParams& p, const float* weights, uint16_t* packed) {
  const int taps = p.kernel_h * p.kernel_w;
  for (int o = 0; o < padded(p.out_c); ++o)
    for (int t = 0; t < taps; ++t)
      for (int i = 0; i < padded(p.in_c); ++i) {
        const bool real = o < p.out_c && i < p.in_c;
        *packed++ = real ? half_from_float(weights[(size_t(o) * p.in_c + i) * taps + t]) : 0;
      }
}

}  // namespace face::cuda::cudnn
