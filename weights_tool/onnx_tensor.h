// SPDX-License-Identifier: MIT
// weights_tool/onnx_tensor.h - TensorProto to Array: every way a file may store a constant.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <memory>

#include "weights_tool/onnx_graph.h"

namespace face::onnx {

/// Takes the values out of `tensor`, freeing what it held. `folder` is where external data may
/// lie, empty where it is refused. Throws Error(kBadModel) with the reason alone: the caller
/// knows whose tensor it is.
[[nodiscard]] std::shared_ptr<const Array> take_tensor(::onnx::TensorProto& tensor,
                                                       const std::filesystem::path& folder);

}  // namespace face::onnx
