// SPDX-License-Identifier: MIT
// engine/image/bytes.h - bounded reads from the bytes of an upload, either byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace face::image {

using Bytes = std::span<const uint8_t>;

/// Unsigned integers at `at`. REQUIRES: they lie inside `b`.
[[nodiscard]] inline uint32_t be16(Bytes b, size_t at) { return uint32_t{b[at]} << 8 | b[at + 1]; }
[[nodiscard]] inline uint32_t le16(Bytes b, size_t at) { return uint32_t{b[at + 1]} << 8 | b[at]; }
[[nodiscard]] inline uint32_t be32(Bytes b, size_t at) {
  return be16(b, at) << 16 | be16(b, at + 2);
}
[[nodiscard]] inline uint32_t le32(Bytes b, size_t at) {
  return le16(b, at + 2) << 16 | le16(b, at);
}

/// True if `b` holds exactly `text` at `at`; false if it ends before.
[[nodiscard]] inline bool has_at(Bytes b, size_t at, std::string_view text) {
  return at <= b.size() && b.size() - at >= text.size() &&
         std::memcmp(b.data() + at, text.data(), text.size()) == 0;
}

}  // namespace face::image
