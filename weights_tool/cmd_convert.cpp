// SPDX-License-Identifier: MIT
// weights_tool convert: ONNX models to one weight file.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "engine/error.h"
#include "engine/pack.h"
#include "weights_tool/commands.h"
#include "weights_tool/converter.h"
#include "weights_tool/model_source.h"

namespace face {
namespace {

namespace fs = std::filesystem;

constexpr char kSynthProducer[] = "face-worker synth";
constexpr char kTrainedLicence[] =
    "InsightFace pretrained models: non-commercial research use only "
    "(https://github.com/deepinsight/insightface)";
constexpr char kGeneratedLicence[] = "Generated from a seed, not trained: for tests only";

struct ConvertOptions {
  std::vector<fs::path> inputs;
  fs::path output;
};

/// Both networks of a weight file while they are collected.
struct Collection {
  std::optional<ConvertedNetwork> detector, recogniser;
  Provenance provenance;

  std::optional<ConvertedNetwork>& slot(NetworkRole role) {
    return role == NetworkRole::kDetector ? detector : recogniser;
  }
};

const char* role_name(NetworkRole role) {
  return role == NetworkRole::kDetector ? "detector" : "recogniser";
}

void add_model(Collection& collection, const ModelSource& source) {
  const onnx::Graph graph = source.read();
  const Classification what = classify(graph);
  if (!what.known && !source.chosen) {
    std::printf("%s: skipped, neither detector nor recogniser: %s\n", source.name.c_str(),
                what.reason.c_str());
    return;
  }
  if (what.known && collection.slot(what.role).has_value())
    throw Error(ErrorKind::kBadModel,
                source.name + ": a second " + role_name(what.role) + ", one is enough");
  ConvertedNetwork network = convert(graph);
  const NetworkRole role = network.network.role;
  std::printf("%s: %s, %zu operations\n", source.name.c_str(), role_name(role),
              network.network.ops.size());
  collection.slot(role) = std::move(network);
  collection.provenance.generated |= graph.producer == kSynthProducer;
  collection.provenance.sources.push_back({role, source.name, graph.sha256});
}

void run_convert(const ConvertOptions& options) {
  Collection collection;
  for (const ModelSource& source : find_models(options.inputs)) add_model(collection, source);
  std::vector<const Network*> networks;
  if (collection.detector) networks.push_back(&collection.detector->network);
  if (collection.recogniser) networks.push_back(&collection.recogniser->network);
  if (networks.empty())
    throw Error(ErrorKind::kBadModel,
                options.inputs[0].string() + ": holds neither detector nor recogniser");
  Provenance& provenance = collection.provenance;
  provenance.tool_version = FACE_VERSION;
  provenance.licence = provenance.generated ? kGeneratedLicence : kTrainedLicence;
  for (const fs::path& input : options.inputs)
    if (fs::exists(options.output) && fs::equivalent(input, options.output))
      throw Error(ErrorKind::kInvalidArgument, options.output.string() + ": is an input");
  write_pack(options.output, networks, provenance);
  std::printf("%s: %ju bytes\n", options.output.c_str(),
              static_cast<uintmax_t>(fs::file_size(options.output)));
}

}  // namespace

void add_convert(CLI::App& app) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand("convert", "Convert ONNX models to a weight file (.fwp)");
  command
      ->add_option("input", options->inputs,
                   "DET.onnx and REC.onnx, either alone, or a buffalo zip or its folder")
      ->required();
  command->add_option("-o,--output", options->output, "Weight file to write")->required();
  command->callback([options] { run_convert(*options); });
}

}  // namespace face
