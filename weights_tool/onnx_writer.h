// SPDX-License-Identifier: MIT
// weights_tool/onnx_writer.h - a Graph as an ONNX file: the counterpart of the reader.
#pragma once

#include <filesystem>

#include "weights_tool/onnx_graph.h"

namespace face::onnx {

/// Writes `graph` with its producer and opset: arrays as raw data (float32 or int64), unknown
/// dimensions without a value. The bytes depend on the graph alone. Lets go of each array once it
/// is copied; the file is written under another name and renamed.
/// Errors: kIo; kBadModel - larger than the 2 GiB that protobuf can write.
void write_onnx(Graph graph, const std::filesystem::path& path);

}  // namespace face::onnx
