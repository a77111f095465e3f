// SPDX-License-Identifier: MIT
// weights_tool inspect: what a weight file or an ONNX model holds.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "engine/error.h"
#include "engine/pack.h"
#include "weights_tool/commands.h"
#include "weights_tool/converter.h"
#include "weights_tool/network_table.h"

namespace face {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  fs::path file;
  int size = 640;
};

void print_network(const Network& network, int size) {
  const bool fixed = network.input.height > 0;
  const int height = fixed ? network.input.height : size;
  const int width = fixed ? network.input.width : size;
  std::printf("\n%s", network_table(network, height, width).c_str());
}

void inspect_pack(const InspectOptions& options) {
  const auto pack = Pack::open(options.file);
  const Provenance& provenance = pack->provenance();
  std::printf("%s: %ju bytes, fingerprint %s\n", options.file.c_str(),
              static_cast<uintmax_t>(fs::file_size(options.file)), pack->fingerprint().c_str());
  std::printf("  tool version  %s\n", provenance.tool_version.c_str());
  std::printf("  licence       %s\n", provenance.licence.c_str());
  std::printf("  weights       %s\n",
              provenance.generated ? "GENERATED: answers mean nothing" : "trained");
  for (const Source& source : provenance.sources)
    std::printf("  %-13s %s, SHA-256 %s\n",
                source.role == NetworkRole::kDetector ? "detector" : "recogniser",
                source.file_name.c_str(), source.sha256.c_str());
  for (const Network* network : {pack->detector(), pack->recogniser()})
    if (network != nullptr) print_network(*network, options.size);
}

/// One operation per node, nothing fused.
void inspect_onnx(const InspectOptions& options) {
  const onnx::Graph graph = onnx::read_onnx(options.file);
  const ConvertedNetwork unfused = convert_unfused(graph);
  std::printf("%s: SHA-256 %s\n", options.file.c_str(), graph.sha256.c_str());
  std::printf("  producer      %s\n  opset         %jd\n  nodes         %zu\n",
              graph.producer.c_str(), static_cast<intmax_t>(graph.opset), graph.nodes.size());
  print_network(unfused.network, options.size);
}

void run_inspect(const InspectOptions& options) {
  if (options.size < 32 || options.size % 32 != 0)
    throw Error(ErrorKind::kInvalidArgument,
                "--size " + std::to_string(options.size) + ": not a multiple of 32");
  options.file.extension() == ".onnx" ? inspect_onnx(options) : inspect_pack(options);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Show a weight file (.fwp) or model (.onnx): operations, shapes, sizes, origin");
  command->add_option("file", options->file, "Weight file or ONNX model")->required();
  command->add_option("--size", options->size, "Side of a detector's input")->capture_default_str();
  command->callback([options] { run_inspect(*options); });
}

}  // namespace face
