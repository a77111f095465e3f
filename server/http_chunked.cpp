// SPDX-License-Identifier: MIT
// server/http_chunked.cpp - RFC 9112 section 7.1, strictly.
#include "server/http_chunked.h"

#include <algorithm>
#include <charconv>

#include "server/http_message.h"

namespace face::http {
namespace {

constexpr size_t kMaxLine = 256;
constexpr size_t kMaxTrailer = 8'192;
constexpr size_t kMaxSizeDigits = 8;

uint64_t parse_chunk_size(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find_first_of("; \t"));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  const bool negative = !digits.empty() && digits.front() == '-';
  if (digits.empty() || negative || digits.size() > kMaxSizeDigits || error != std::errc() ||
      end != digits.data() + digits.size()) {
    throw Refusal(400, "Malformed chunk size");
  }
  return size;
}

}  // namespace

bool ChunkedCheck::take_line(std::string_view bytes, size_t* used) {
  while (*used < bytes.size()) {
    line_ += bytes[(*used)++];
    if (line_.back() == '\n') {
      if (line_.size() < 2 || line_[line_.size() - 2] != '\r') {
        throw Refusal(400, "Line feed without carriage return in a chunked body");
      }
      line_.resize(line_.size() - 2);
      return true;
    }
    if (line_.size() > kMaxLine) throw Refusal(400, "Chunk line too long");
  }
  return false;
}

void ChunkedCheck::begin_chunk(size_t limit) {
  left_ = parse_chunk_size(line_);
  if (left_ > limit || content_ > limit - left_) {
    throw Refusal(413, "Request body is larger than " + std::to_string(limit) + " bytes");
  }
  content_ += left_;
  state_ = left_ == 0 ? State::kTrailer : State::kData;
}

void ChunkedCheck::end_line(size_t limit) {
  if (state_ == State::kSize) {
    begin_chunk(limit);
  } else if (state_ == State::kDataEnd) {
    if (!line_.empty()) throw Refusal(400, "Chunk longer than its size");
    state_ = State::kSize;
  } else if (line_.empty()) {
    state_ = State::kDone;
  } else if ((trailer_bytes_ += line_.size()) > kMaxTrailer) {
    throw Refusal(431, "Trailer fields too large");
  }
  line_.clear();
}

size_t ChunkedCheck::advance(std::string_view bytes, size_t limit) {
  size_t used = 0;
  while (used < bytes.size() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const size_t take = size_t(std::min<uint64_t>(left_, bytes.size() - used));
      used += take;
      left_ -= take;
      if (left_ == 0) state_ = State::kDataEnd;
    } else if (take_line(bytes, &used)) {
      end_line(limit);
    }
  }
  return used;
}

}  // namespace face::http
