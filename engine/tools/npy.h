// SPDX-License-Identifier: MIT
// engine/tools/npy.h - NumPy's .npy files of float32 in C order, format version 1.0 to 3.0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace face {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// Errors: kIo - cannot be opened; kInvalidArgument - not an .npy file, another type than little
/// endian float32, Fortran order, more or fewer bytes than the shape says. Messages name the file.
[[nodiscard]] NpyArray read_npy(const std::filesystem::path& path);

/// Errors: kIo - names the file.
void write_npy(const std::filesystem::path& path, const NpyArray& array);

}  // namespace face
