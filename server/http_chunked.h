// SPDX-License-Identifier: MIT
// server/http_chunked.h - checks the chunked coding of a body while its bytes arrive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace face::http {

/// Strict reader of one chunked body in front of cpp-httplib's lenient one: finds its end and
/// refuses what could be read in two ways. Extensions and trailers pass; each line is limited, so
/// that framing cannot grow memory.
class ChunkedCheck {
 public:
  /// How many of `bytes` belong to the body; fewer than all once done(): the rest is the next
  /// request's. Errors: Refusal 400 - malformed size, line end or trailer; 413 - more than `limit`
  /// bytes of content; 431 - trailers too large.
  size_t advance(std::string_view bytes, size_t limit);
  [[nodiscard]] bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kSize, kData, kDataEnd, kTrailer, kDone };
  /// Appends to line_ up to a CRLF; true when the line is complete, without its end.
  bool take_line(std::string_view bytes, size_t* used);
  void begin_chunk(size_t limit);
  void end_line(size_t limit);

  State state_ = State::kSize;
  std::string line_;
  uint64_t left_ = 0;     // of the chunk
  uint64_t content_ = 0;  // announced by all chunks so far
  size_t trailer_bytes_ = 0;
};

}  // namespace face::http
