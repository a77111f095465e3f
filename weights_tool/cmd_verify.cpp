// SPDX-License-Identifier: MIT
// weights_tool verify: a weight file against the ONNX models it was made of.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>

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

/// What was verified, and what was found wrong.
struct Findings {
  std::set<NetworkRole> verified;
  std::vector<std::string> complaints;
};

const char* role_name(NetworkRole role) {
  return role == NetworkRole::kDetector ? "detector" : "recogniser";
}

const Network* network_of(const Pack& pack, NetworkRole role) {
  return role == NetworkRole::kDetector ? pack.detector() : pack.recogniser();
}

/// Complains unless the file is the one that the weight file names.
void check_source(const Pack& pack, const onnx::Graph& graph, NetworkRole role,
                  Findings& findings) {
  std::string known = "unknown";
  for (const Source& source : pack.provenance().sources) {
    if (source.role != role) continue;
    if (source.sha256 == graph.sha256) return;
    known = source.sha256;
  }
  std::printf("%s: SHA-256 %s, that of the source is %s\n", graph.file.c_str(),
              graph.sha256.c_str(), known.c_str());
  findings.complaints.push_back(graph.file + ": SHA-256 is not that of the source");
}

/// Prints the errors of one model and complains of outputs beyond the tolerance.
void check_outputs(const onnx::Graph& graph, const Network& network, double tolerance,
                   Findings& findings) {
  std::printf("%s\n  %-16s %-14s %12s %12s\n", graph.file.c_str(), "output", "shape", "max error",
              "relative L2");
  for (const OutputError& error : compare(graph, network)) {
    const bool within = error.relative_l2 <= tolerance;
    std::printf("  %-16s %-14s %12.3g %12.3g%s\n", error.name.c_str(),
                dims_text(error.dims).c_str(), error.max_absolute, error.relative_l2,
                within ? "" : "  BEYOND TOLERANCE");
    if (!within) findings.complaints.push_back(graph.file + ": output '" + error.name + "'");
  }
}

void verify_model(const Pack& pack, const onnx::Graph& graph, double tolerance,
                  Findings& findings) {
  const Classification what = classify(graph);
  if (!what.known)
    throw Error(ErrorKind::kBadModel,
                graph.file + ": neither detector nor recogniser: " + what.reason);
  const Network* network = network_of(pack, what.role);
  if (network == nullptr)
    throw Error(ErrorKind::kBadModel, pack.path().string() + ": holds no " + role_name(what.role) +
                                          " to hold " + graph.file + " against");
  check_source(pack, graph, what.role, findings);
  check_outputs(graph, *network, tolerance, findings);
  findings.verified.insert(what.role);
}

[[noreturn]] void fail(const fs::path& path, const std::string& reason) {
  throw Error(ErrorKind::kBadModel, path.string() + ": " + reason);
}

/// Throws if there are complaints, naming the first; else says what matches and what was left out.
void conclude(const Pack& pack, const Findings& findings) {
  const std::vector<std::string>& complaints = findings.complaints;
  if (!complaints.empty())
    fail(pack.path(),
         "does not match " + complaints[0] +
             (complaints.size() > 1 ? ", and " + std::to_string(complaints.size() - 1) + " more"
                                    : ""));
  for (const NetworkRole role : {NetworkRole::kDetector, NetworkRole::kRecogniser})
    if (network_of(pack, role) != nullptr && !findings.verified.contains(role))
      std::printf("%s: not verified, no model given\n", role_name(role));
  std::printf("%s: matches, fingerprint %s\n", pack.path().c_str(), pack.fingerprint().c_str());
}

void run_verify(const VerifyOptions& options) {
  const auto pack = Pack::open(options.pack);
  Findings findings;
  for (const ModelSource& source : find_models(options.models)) {
    const onnx::Graph graph = source.read();
    if (!source.chosen && !classify(graph).known) continue;
    verify_model(*pack, graph, options.tolerance, findings);
  }
  if (findings.verified.empty()) fail(options.models[0], "holds neither detector nor recogniser");
  conclude(*pack, findings);
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
