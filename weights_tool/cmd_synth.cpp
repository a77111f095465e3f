// SPDX-License-Identifier: MIT
// weights_tool synth: ONNX files with a release's graphs and generated weights.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "engine/error.h"
#include "weights_tool/commands.h"
#include "weights_tool/onnx_writer.h"
#include "weights_tool/synth/models.h"

namespace face {
namespace {

namespace fs = std::filesystem;

struct SynthOptions {
  std::string release;
  fs::path folder;
  uint64_t seed = 0;
};

void run_synth(const SynthOptions& options) {
  const std::vector<synth::Model> models = synth::release_models(options.release);
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) throw Error(ErrorKind::kIo, options.folder.string() + ": " + error.message());
  for (const synth::Model& model : models) {
    const fs::path path = options.folder / model.file;
    onnx::write_onnx(model.build(model.file, options.seed), path);
    std::printf("%s: %ju bytes, generated weights of seed %ju\n", path.c_str(),
                static_cast<uintmax_t>(fs::file_size(path)), static_cast<uintmax_t>(options.seed));
  }
}

}  // namespace

void add_synth(CLI::App& app) {
  auto options = std::make_shared<SynthOptions>();
  CLI::App* command = app.add_subcommand(
      "synth", "Write ONNX files with the graphs of a release and generated weights");
  std::string known;
  for (const std::string& name : synth::release_names())
    known += (known.empty() ? "" : ", ") + name;
  command->add_option("release", options->release, "One of " + known)->required();
  command->add_option("-o,--output", options->folder, "Folder to write to")->required();
  command->add_option("--seed", options->seed, "Other weights for every seed")
      ->capture_default_str();
  command->callback([options] { run_synth(*options); });
}

}  // namespace face
