// SPDX-License-Identifier: MIT
// weights_tool verify: a weight file against the ONNX models it was made of.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "engine/error.h"
#include "engine/pack.h"
#include "weights_tool/commands.h"
#include "weights_tool/comparison.h"
#include "weights_tool/constants.h"
#include "weights_tool/converter.h"
#include "weights_tool/model_source.h"

namespace face {
namespace {

namespace fs = std::filesystem;

struct VerifyOptions {
  fs::path pack;
  std::vector<fs::path> models;
  double tolerance = 1e-5;
};

/// Prints what is wrong with the file itself; true if it is the one the weight file names.
bool check_source(const Pack& pack, const onnx::Graph& graph, NetworkRole role) {
  for (const Source& source : pack.provenance().sources) {
    if (source.role != role) continue;
    if (source.sha256 == graph.sha256) return true;
    std::printf("%s: SHA-256 %s is not that of the source, %s: %s\n", graph.file.c_str(),
                graph.sha256.c_str(), source.file_name.c_str(), source.sha256.c_str());
  }
  return false;
}

/// Prints the errors of one model; false if one is beyond the tolerance.
bool check_outputs(const onnx::Graph& graph, const Network& network, double tolerance) {
  std::printf("%s\n  %-16s %-14s %12s %12s\n", graph.file.c_str(), "output", "shape", "max error",
              "relative L2");
  bool good = true;
  for (const OutputError& error : compare(graph, network)) {
    const bool within = error.relative_l2 <= tolerance;
    good = good && within;
    std::printf("  %-16s %-14s %12.3g %12.3g%s\n", error.name.c_str(),
                dims_text(error.dims).c_str(), error.max_absolute, error.relative_l2,
                within ? "" : "  BEYOND TOLERANCE");
  }
  return good;
}

/// True if everything about one model is as it should be.
bool verify_model(const Pack& pack, const onnx::Graph& graph, double tolerance) {
  const Classification what = classify(graph);
  if (!what.known)
    throw Error(ErrorKind::kBadModel,
                graph.file + ": neither detector nor recogniser: " + what.reason);
  const bool detector = what.role == NetworkRole::kDetector;
  const Network* network = detector ? pack.detector() : pack.recogniser();
  if (network == nullptr)
    throw Error(ErrorKind::kBadModel, pack.path().string() + ": holds no " +
                                          (detector ? "detector" : "recogniser") + " to hold " +
                                          graph.file + " against");
  const bool same_file = check_source(pack, graph, what.role);
  return check_outputs(graph, *network, tolerance) && same_file;
}

void run_verify(const VerifyOptions& options) {
  const auto pack = Pack::open(options.pack);
  bool good = true;
  int verified = 0;
  for (const ModelSource& source : find_models(options.models)) {
    const onnx::Graph graph = source.read();
    if (!source.chosen && !classify(graph).known) continue;
    good = verify_model(*pack, graph, options.tolerance) && good;
    ++verified;
  }
  if (verified == 0)
    throw Error(ErrorKind::kBadModel, options.models[0].string() +
                                          ": holds neither detector nor "
                                          "recogniser");
  if (!good)
    throw Error(ErrorKind::kBadModel, options.pack.string() + ": does not match its sources");
  std::printf("%s: matches, fingerprint %s\n", options.pack.c_str(), pack->fingerprint().c_str());
}

}  // namespace

void add_verify(CLI::App& app) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Run ONNX models and the weight file made of them in float64 and compare");
  command->add_option("pack", options->pack, "Weight file (.fwp)")->required();
  command
      ->add_option("models", options->models,
                   "Its DET.onnx and REC.onnx, either alone, or a buffalo zip or its folder")
      ->required();
  command->add_option("--tolerance", options->tolerance, "Largest relative L2 error of an output")
      ->capture_default_str();
  command->callback([options] { run_verify(*options); });
}

}  // namespace face
