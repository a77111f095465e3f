// SPDX-License-Identifier: MIT
// server/http_head.h - reads request heads, stricter than HTTP asks where leniency lets one
// message be taken for two.
#pragma once

#include <cstddef>
#include <string_view>

#include "server/http_message.h"

namespace face::http {

struct HeadLimits {
  size_t max_bytes = 32'768;  // request line and headers together: 431
  size_t max_target = 2'048;  // 414
  size_t max_headers = 64;    // 431
};

/// Finds the end of a head while its bytes arrive. Each byte is looked at once.
class HeadScanner {
 public:
  /// Length of the head, the empty line included, if `buffer` holds all of it, else 0.
  /// REQUIRES: `buffer` is that of the last call, with bytes appended.
  /// Errors: Refusal 400 - a line feed without carriage return, or NUL; 414, 431 - too long.
  [[nodiscard]] size_t scan(std::string_view buffer, const HeadLimits& limits);
  void reset() { *this = HeadScanner(); }

 private:
  size_t scanned_ = 0;
  size_t line_start_ = 0;
};

/// Reads a head that HeadScanner delimited.
/// Errors (Refusal): 400 - malformed request line or header, obs-fold, missing or double Host,
/// Content-Length that is not one plain number, Transfer-Encoding other than "chunked", both of
/// them, bad percent-encoding; 414, 431 - limits; 505 - not HTTP/1.0 or 1.1.
[[nodiscard]] Head parse_head(std::string_view bytes, const HeadLimits& limits);

/// Path of a target: query cut off, percent-decoded, runs of "/" made one, last "/" removed.
/// Errors: Refusal 400 - a malformed escape, or a control character.
[[nodiscard]] std::string normalise_path(std::string_view target);

}  // namespace face::http
