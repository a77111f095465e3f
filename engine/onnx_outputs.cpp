// SPDX-License-Identifier: MIT
// engine/onnx_outputs.cpp - a run's outputs as the ONNX graph had them.
#include <cmath>

#include "engine/backend.h"

namespace face {
namespace {

float value_of(const Output& output, float x) {
  return output.sigmoid ? 1.f / (1.f + std::exp(-x)) : x;
}

NamedArray onnx_output(const Executable& executable, const Output& output, int batch) {
  const std::span<const float> tensor = executable.output(output.tensor);
  const size_t channels = executable.network().tensors[output.tensor].channels;
  const size_t pixels = tensor.size() / channels / executable.max_batch() * batch;
  const int64_t rows =
      static_cast<int64_t>(pixels) / batch * (output.channel_count / output.columns);
  NamedArray array{output.name, {}, {}};
  if (output.batch_dim) {
    array.shape = {batch, rows, output.columns};
  } else {
    array.shape = {batch * rows, output.columns};
  }
  // A recogniser's row is its embedding: (N, size), with or without a batch axis of its own.
  if (executable.network().role == NetworkRole::kRecogniser) array.shape = {batch, output.columns};
  array.values.reserve(pixels * output.channel_count);
  for (size_t p = 0; p < pixels; ++p) {
    const float* values = tensor.data() + p * channels + output.channel_begin;
    for (int c = 0; c < output.channel_count; ++c)
      array.values.push_back(value_of(output, values[c]));
  }
  return array;
}

}  // namespace

std::vector<NamedArray> onnx_outputs(const Executable& executable, int batch) {
  std::vector<NamedArray> arrays;
  for (const Output& output : executable.network().outputs)
    arrays.push_back(onnx_output(executable, output, batch));
  return arrays;
}

}  // namespace face
