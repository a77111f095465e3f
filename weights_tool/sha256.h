// SPDX-License-Identifier: MIT
// weights_tool/sha256.h - SHA-256 of bytes in memory, by libcrypto.
#pragma once

#include <string>
#include <string_view>

namespace face {

/// 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace face
