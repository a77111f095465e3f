// SPDX-License-Identifier: MIT
// weights_tool/synth/models.h - the graphs of InsightFace's releases, op by op as exported, with
// generated weights.
#pragma once

#include <string>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face::synth {

/// One ONNX file of a release.
struct Model {
  std::string file;
  onnx::Graph (*build)(const std::string& file, uint64_t seed);
};

/// buffalo_l, buffalo_m, buffalo_s, antelopev2
[[nodiscard]] std::vector<std::string> release_names();

/// Detector and recogniser of a release. Errors: kInvalidArgument names those that are known.
[[nodiscard]] std::vector<Model> release_models(const std::string& release);

// ---- detectors: SCRFD with landmarks. Sources: insightface detection/scrfd configs and exports.
[[nodiscard]] onnx::Graph scrfd_10g(const std::string& file, uint64_t seed);
[[nodiscard]] onnx::Graph scrfd_2_5g(const std::string& file, uint64_t seed);
[[nodiscard]] onnx::Graph scrfd_500m(const std::string& file, uint64_t seed);

// ---- recognisers: ArcFace. Sources: insightface recognition/arcface_torch/backbones.
[[nodiscard]] onnx::Graph iresnet50(const std::string& file, uint64_t seed);
[[nodiscard]] onnx::Graph iresnet100(const std::string& file, uint64_t seed);
[[nodiscard]] onnx::Graph mobilefacenet(const std::string& file, uint64_t seed);

}  // namespace face::synth
