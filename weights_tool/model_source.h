// SPDX-License-Identifier: MIT
// weights_tool/model_source.h - ONNX models wherever they lie: files, a folder, a zip archive.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "weights_tool/onnx_graph.h"

namespace face {

struct ModelSource {
  std::string name;                   // of the file, for messages
  bool chosen = true;                 // named by the user; else found in a folder or archive
  std::function<onnx::Graph()> read;  // errors as read_onnx()
};

/// The models that `paths` name: ONNX files as they are, of folders and zip archives every *.onnx
/// inside, by name. Reads nothing yet.
/// Errors: kIo - does not exist or cannot be opened; kBadModel - holds no ONNX file.
[[nodiscard]] std::vector<ModelSource> find_models(const std::vector<std::filesystem::path>& paths);

}  // namespace face
