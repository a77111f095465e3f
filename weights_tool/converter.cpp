// SPDX-License-Identifier: MIT
#include "weights_tool/converter.h"

#include <cmath>
#include <utility>

#include "engine/error.h"
#include "weights_tool/constants.h"
#include "weights_tool/lowering.h"
#include "weights_tool/passes/passes.h"

namespace face {
namespace {

constexpr int kFaceSize = 112;
constexpr int64_t kMinEmbedding = 32;

/// "" or what speaks against a picture of `wanted` pixels, 0: a multiple of 32.
std::string size_fault(const std::vector<int64_t>& dims, int wanted) {
  for (int64_t d : {dims[2], dims[3]}) {
    if (d < 1) continue;
    if (wanted != 0 ? d != wanted : d % 32 != 0)
      return "reads " + dims_text({dims[2], dims[3]}) +
             (wanted != 0 ? ", a recogniser 112x112" : ", a detector multiples of 32");
  }
  return "";
}

std::string input_fault(const onnx::Graph& graph) {
  if (graph.inputs.size() != 1)
    return std::to_string(graph.inputs.size()) + " inputs, want one picture";
  const auto& dims = graph.inputs[0].dims;
  if (dims.size() != 4 || (dims[1] != 3 && dims[1] != -1))
    return "input '" + graph.inputs[0].name + "' of " + dims_text(dims) + ", want N x 3 x H x W";
  if (dims[2] > 4096 || dims[3] > 4096) return "reads " + dims_text({dims[2], dims[3]});
  return "";
}

std::string embedding_fault(const onnx::Graph& graph) {
  const auto& dims = graph.outputs[0].dims;
  if (dims.size() == 2 && dims[1] > 0 && dims[1] < kMinEmbedding)
    return "its output has " + std::to_string(dims[1]) + " values, too few for an embedding";
  return size_fault(graph.inputs[0].dims, kFaceSize);
}

/// What the pixels are turned into before the network, as InsightFace does it. A recogniser that
/// normalises by itself is fed pixels as they are.
void set_pixel_normalisation(Draft& draft) {
  Input& in = draft.network.input;
  const bool detector = draft.network.role == NetworkRole::kDetector;
  double mean = 127.5, scale = detector ? 1 / 128.0 : 1 / 127.5;
  if (!detector && draft.begins_with_arithmetic) mean = 0, scale = 1;
  in.pixel_mean = static_cast<float>(mean + in.onnx_mean / scale);
  in.pixel_scale = static_cast<float>(scale * in.onnx_scale);
  if (detector) return;
  in.height = draft.height;
  in.width = draft.width;
}

void check_finite(const Network& network) {
  const auto check = [](const Op& op, std::span<const float> values, const char* what) {
    float worst = 0;  // NaN and infinity stay in a sum of differences
    for (float v : values) worst += v - v;
    if (!(worst == 0)) refuse(op.name, std::string(what) + " are not all finite");
  };
  for (const Op& op : network.ops) {
    check(op, op.weights, "weights");
    check(op, op.bias, "biases");
    check(op, op.slopes, "slopes");
  }
}

Draft build(const onnx::Graph& graph, bool fused) {
  const Classification c = classify(graph);
  if (!c.known) throw Error(ErrorKind::kBadModel, "neither detector nor recogniser: " + c.reason);
  Draft draft = Lowering(graph, c.role).run();
  if (fused) {
    run_passes(draft);
  } else {
    merge_heads(draft);
    remove_unused(draft);
  }
  set_pixel_normalisation(draft);
  check_finite(draft.network);
  (void)infer_shapes(draft.network, draft.height, draft.width);
  return draft;
}

ConvertedNetwork build_checked(const onnx::Graph& graph, bool fused) {
  Draft draft;
  try {
    draft = build(graph, fused);
  } catch (const Error& e) {
    throw Error(ErrorKind::kBadModel, graph.file + ": " + e.what());
  }
  validate(draft.network, graph.file);
  return draft;
}

}  // namespace

Classification classify(const onnx::Graph& graph) {
  Classification c;
  c.reason = input_fault(graph);
  if (!c.reason.empty()) return c;
  const size_t outputs = graph.outputs.size();
  if (outputs == 1) {
    c.role = NetworkRole::kRecogniser;
    c.reason = embedding_fault(graph);
  } else if (outputs == 6 || outputs == 10) {
    c.reason = std::to_string(outputs) + " outputs: a detector without landmarks is not taken";
  } else if (outputs == 0 || outputs % 3 != 0) {
    c.reason = std::to_string(outputs) + " outputs, want one vector, or three per stride";
  } else {
    c.reason = size_fault(graph.inputs[0].dims, 0);
  }
  c.known = c.reason.empty();
  return c;
}

ConvertedNetwork convert(const onnx::Graph& graph) { return build_checked(graph, true); }

ConvertedNetwork convert_unfused(const onnx::Graph& graph) { return build_checked(graph, false); }

}  // namespace face
