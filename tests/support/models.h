// SPDX-License-Identifier: MIT
// tests/support/models.h - the shared ONNX models as an open weight file, and photos as pixels.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/image.h"
#include "engine/pack.h"

namespace face::test {

/// Converts models of the shared folder, named without ".onnx", to a temporary weight file and
/// opens it. The file is gone once the Pack is.
[[nodiscard]] std::shared_ptr<const Pack> convert_shared(const std::string& detector,
                                                         const std::string& recogniser);

/// Decodes a picture as the worker would for a device that takes `target`.
[[nodiscard]] Image read_photo(const std::filesystem::path& path, const ImageTarget& target = {});

}  // namespace face::test
