// SPDX-License-Identifier: MIT
#include "engine/cpu/pointwise.h"

#include <algorithm>
#include <cmath>

namespace face::cpu {
namespace {

void activate(const Epilogue& e, float* values) {
  if (e.kind == EpilogueKind::kPrelu) {
    for (int c = 0; c < e.channels; ++c)
      values[c] = values[c] < 0.f ? values[c] * e.slopes[c] : values[c];
    return;
  }
  for (int c = 0; c < e.channels; ++c) {
    const float floor = values[c] < e.low ? e.low : values[c];
    values[c] = floor > e.high ? e.high : floor;
  }
}

void apply_sigmoid(float* values, int channels) {
  for (int c = 0; c < channels; ++c) values[c] = 1.f / (1.f + std::exp(-values[c]));
}

}  // namespace

Pointwise::Pointwise(const ConvDesc& desc, const ConvWeights& tables, const float* scale,
                     bool sigmoid)
    : tables_(desc, tables),
      scale_(desc.out_channels, 1.f),
      zeros_(desc.out_channels, 0.f),
      sigmoid_(sigmoid) {
  if (scale != nullptr) std::copy_n(scale, scale_.size(), scale_.begin());
}

void Pointwise::run_row(const Epilogue& e, const float* input, float* output, int image,
                        int y) const {
  const size_t row = (static_cast<size_t>(image) * e.height + y) * e.width * e.channels;
  const int half = e.addend_upsampled ? 2 : 1;
  const size_t addend_row =
      (static_cast<size_t>(image) * (e.height / half) + y / half) * (e.width / half) * e.channels;
  for (int x = 0; x < e.width; ++x) {
    const float* in = input + row + static_cast<size_t>(x) * e.channels;
    float* out = output + row + static_cast<size_t>(x) * e.channels;
    const float* bias = e.bias + (3 * e.row_class[y] + e.col_class[x]) * e.bias_stride;
    const float* addend = zeros_.data();
    if (e.addend != nullptr) addend = e.addend + addend_row + size_t(x / half) * e.channels;
    for (int c = 0; c < e.channels; ++c) out[c] = in[c] * scale_[c] + bias[c] + addend[c];
    activate(e, out);
    if (sigmoid_) apply_sigmoid(out, e.channels);
  }
}

void Pointwise::run(const float* input, const float* addend, float* output, int batch, void*,
                    const Parallel& parallel) const {
  const Epilogue epilogue = tables_.with_addend(addend);
  parallel(batch * epilogue.height, [&](int task, int) {
    run_row(epilogue, input, output, task / epilogue.height, task % epilogue.height);
  });
}

}  // namespace face::cpu
