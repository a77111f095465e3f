// SPDX-License-Identifier: MIT
// tests/support/models.h - the shared ONNX models as an open weight file, and photos as pixels.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/image.h"
#include "engine/pack.h"
#include "weights_tool/converter.h"

namespace face::test {

/// Writes both networks to a temporary weight file and opens it. The file is gone once the Pack is.
[[nodiscard]] std::shared_ptr<const Pack> pack_of(const ConvertedNetwork& detector,
                                                  const ConvertedNetwork& recogniser);

/// A model of the shared folder, named without ".onnx".
[[nodiscard]] ConvertedNetwork convert_shared(const std::string& model);
/// pack_of() two of them.
[[nodiscard]] std::shared_ptr<const Pack> convert_shared(const std::string& detector,
                                                         const std::string& recogniser);

/// Decodes a picture as the worker would for a device that takes `target`.
[[nodiscard]] Image read_photo(const std::filesystem::path& path, const ImageTarget& target = {});

}  // namespace face::test
