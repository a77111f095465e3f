// SPDX-License-Identifier: MIT
// server/text.h - encodings of the texts that clients send.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace face {

/// Length of the UTF-8 sequence that starts `text`, 0 if it is malformed. REQUIRES: not empty.
[[nodiscard]] size_t utf8_length(std::string_view text);
/// Whether all of `text` is UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);
/// `text`, each byte of which is a character of ISO 8859-1.
[[nodiscard]] std::string latin1_to_utf8(std::string_view text);
/// `text` with every %XX replaced by its byte; nothing if an escape is malformed.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

}  // namespace face
