// SPDX-License-Identifier: MIT
// server/multipart.h - finds the parts of a multipart/form-data body (RFC 7578).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace face {

struct FormPart {
  std::string name;
  /// UTF-8, folders and all, but for absolute paths of Windows; empty if there is none.
  std::string file_name;
  std::string_view content;  // inside the body given to parse_multipart()
};

struct MultipartLimits {
  size_t max_parts = 64;
  size_t max_part_header = 8'192;  // bytes of one part's headers
};

/// The boundary of a Content-Type value, or nothing if that is no multipart/form-data with a
/// boundary of 1 to 70 characters.
[[nodiscard]] std::optional<std::string> multipart_boundary(std::string_view content_type);

/// All parts, in order. Time is linear in the body, whatever it holds; contents are not copied.
/// A preamble and an epilogue are skipped, parts without a name get an empty one, an empty body has
/// no parts.
/// Errors (http::Refusal): 400 - no boundary line, no closing boundary, malformed part headers;
/// 413 - more than max_parts parts; 431 - longer part headers.
[[nodiscard]] std::vector<FormPart> parse_multipart(std::string_view body,
                                                    std::string_view boundary,
                                                    const MultipartLimits& limits);

}  // namespace face
