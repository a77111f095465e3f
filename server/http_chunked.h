// SPDX-License-Identifier: MIT
// server/http_chunked.h - takes the chunked coding off a body while its bytes arrive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace face::http {

/// Decoder of one chunked body. Chunk extensions and trailers are read and dropped; each line is
/// limited, so that framing cannot grow memory.
class ChunkedDecoder {
 public:
  /// Decodes from `bytes`, appending to `body`; returns how many bytes were taken. Stops at the
  /// end of the body: the rest belongs to the next request.
  /// Errors: Refusal 400 - malformed size, line end or trailer; 413 - more than `limit` bytes.
  size_t decode(std::string_view bytes, size_t limit, std::string* body);
  [[nodiscard]] bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kSize, kData, kDataEnd, kTrailer, kDone };
  /// Appends to line_ up to a CRLF; true when the line is complete, without its end.
  bool take_line(std::string_view bytes, size_t* used);
  void begin_chunk(size_t body_size, size_t limit);
  void end_line(size_t body_size, size_t limit);

  State state_ = State::kSize;
  std::string line_;
  uint64_t left_ = 0;
  size_t trailer_bytes_ = 0;
};

}  // namespace face::http
