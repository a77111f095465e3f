// SPDX-License-Identifier: MIT
// tests/engine/fake_backend.h - a backend whose networks are functions of the test.
#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "engine/backend.h"
#include "tests/support/planes.h"
#include "tests/support/tiny_network.h"

namespace face::test {

/// Fills the output tensors of one image: `tensors` maps each that is asked for to (H, W, C).
using Script = std::function<void(const float* input, const Shape& shape,
                                  std::map<TensorId, std::vector<float>>& tensors)>;

class FakeExecutable final : public Executable {
 public:
  FakeExecutable(const Network& network, const CompileOptions& options, Script script)
      : network_(network), options_(options), script_(std::move(script)) {}

  [[nodiscard]] const Network& network() const override { return network_; }
  [[nodiscard]] Shape input_shape() const override { return {3, options_.height, options_.width}; }
  [[nodiscard]] int max_batch() const override { return options_.max_batch; }
  [[nodiscard]] Precision precision() const override { return Precision::kFp32; }
  [[nodiscard]] size_t activation_bytes() const override { return 0; }
  [[nodiscard]] size_t weight_bytes() const override { return 0; }

  void run(const float* input, int batch) override {
    ++runs;
    batches.push_back(batch);
    outputs_.clear();
    for (int i = 0; i < batch; ++i) {
      std::map<TensorId, std::vector<float>> one;
      script_(planes(input, options_.layout, options_.height, options_.width, i).data(),
              input_shape(), one);
      for (auto& [tensor, values] : one)
        outputs_[tensor].insert(outputs_[tensor].end(), values.begin(), values.end());
    }
  }
  [[nodiscard]] std::span<const float> output(TensorId tensor) const override {
    return outputs_.at(tensor);
  }
  std::vector<LayerProfile> profile(const float* input, int batch) override {
    run(input, batch);
    return {};
  }

  int runs = 0;
  std::vector<int> batches;

 private:
  const Network& network_;
  CompileOptions options_;
  Script script_;
  std::map<TensorId, std::vector<float>> outputs_;
};

/// A pack of networks built in code.
class FakePack final : public Pack {
 public:
  FakePack() {
    provenance_.sources = {{NetworkRole::kDetector, "det_test.onnx", ""},
                           {NetworkRole::kRecogniser, "rec_test.onnx", ""}};
  }
  [[nodiscard]] const Network* detector() const override {
    return has_detector ? &detector_net.network : nullptr;
  }
  [[nodiscard]] const Network* recogniser() const override {
    return has_recogniser ? &recogniser_net.network : nullptr;
  }
  [[nodiscard]] const Provenance& provenance() const override { return provenance_; }
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::filesystem::path& path() const override { return path_; }

  bool has_detector = true, has_recogniser = true;
  OwnedNetwork detector_net, recogniser_net;

 private:
  Provenance provenance_;
  std::string fingerprint_ = "0123456789abcdef";
  std::filesystem::path path_ = "test.fwp";
};

/// compile() gives FakeExecutables that play `detector` and `recogniser`.
class FakeBackend final : public Backend {
 public:
  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] bool supports(Precision precision) const override {
    return precision == Precision::kFp32;
  }
  [[nodiscard]] std::unique_ptr<Executable> compile(const Network& network,
                                                    const CompileOptions& options) override {
    const bool detects = network.role == NetworkRole::kDetector;
    auto made = std::make_unique<FakeExecutable>(network, options, detects ? detector : recogniser);
    executables.push_back(made.get());
    return made;
  }
  [[nodiscard]] std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack>,
                                                   const PipelineOptions&) override {
    return nullptr;
  }

  Script detector, recogniser;
  std::vector<FakeExecutable*> executables;  // owned by whoever asked for them

 private:
  DeviceInfo info_;
};

}  // namespace face::test
