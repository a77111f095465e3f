// SPDX-License-Identifier: MIT
// tests/cuda/reference_backend.h - the interpreter in double as a Backend, so that the CPU pipeline
// can run on it and be held against the CUDA pipeline.
#pragma once

#include <map>
#include <vector>

#include "engine/backend.h"
#include "engine/reference/network_interpreter.h"
#include "tests/support/planes.h"

namespace face::test {

class ReferenceExecutable final : public Executable {
 public:
  ReferenceExecutable(const Network& network, const CompileOptions& options)
      : network_(network), options_(options) {}
  [[nodiscard]] const Network& network() const override { return network_; }
  [[nodiscard]] Shape input_shape() const override { return {3, options_.height, options_.width}; }
  [[nodiscard]] int max_batch() const override { return options_.max_batch; }
  [[nodiscard]] Precision precision() const override { return Precision::kFp32; }
  [[nodiscard]] size_t activation_bytes() const override { return 0; }
  [[nodiscard]] size_t weight_bytes() const override { return 0; }

  void run(const float* input, int batch) override {
    outputs_.clear();
    for (int i = 0; i < batch; ++i) {
      const auto values = planes(input, options_.layout, options_.height, options_.width, i);
      const reference::Values image{input_shape(), {values.begin(), values.end()}};
      const auto tensors = reference::run(network_, image);
      for (const Output& output : network_.outputs) add(output.tensor, tensors, i);
      for (const DetectorLevel& level : network_.levels) add(level.tensor, tensors, i);
    }
  }
  [[nodiscard]] std::span<const float> output(TensorId tensor) const override {
    return outputs_.at(tensor);
  }
  std::vector<LayerProfile> profile(const float*, int) override { return {}; }

 private:
  /// Appends image `i` of a tensor as (height, width, channels), once.
  void add(TensorId id, const std::vector<reference::Values>& tensors, int i) {
    const reference::Values& values = tensors[id];
    const Shape& s = values.shape;
    std::vector<float>& out = outputs_[id];
    if (out.size() > size_t(i) * values.data.size()) return;
    for (int y = 0; y < s.height; ++y)
      for (int x = 0; x < s.width; ++x)
        for (int c = 0; c < s.channels; ++c) out.push_back(static_cast<float>(values.at(c, y, x)));
  }

  const Network& network_;
  CompileOptions options_;
  std::map<TensorId, std::vector<float>> outputs_;
};

class ReferenceBackend final : public Backend {
 public:
  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] bool supports(Precision) const override { return true; }
  [[nodiscard]] std::unique_ptr<Executable> compile(const Network& network,
                                                    const CompileOptions& options) override {
    return std::make_unique<ReferenceExecutable>(network, options);
  }
  [[nodiscard]] std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack>,
                                                   const PipelineOptions&) override {
    return nullptr;
  }

 private:
  DeviceInfo info_;
};

}  // namespace face::test
