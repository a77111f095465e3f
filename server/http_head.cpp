// SPDX-License-Identifier: MIT
// server/http_head.cpp - request line, headers and framing.
#include "server/http_head.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "server/text.h"

namespace face::http {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || kTokenMarks.find(char(c)) != std::string_view::npos;
  });
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  }
  return lower;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 32 && c != '\t') || c == 127; });
}

void parse_request_line(std::string_view line, const HeadLimits& limits, Head* head) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    throw Refusal(400, "Malformed request line");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (target.size() > limits.max_target) throw Refusal(414, "Request target too long");
  const bool malformed = !is_token(method) || target.empty() || has_control(target) ||
                         target.find(' ') != std::string_view::npos ||
                         target.find('\t') != std::string_view::npos;
  if (malformed || version.substr(0, 5) != "HTTP/") throw Refusal(400, "Malformed request line");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    throw Refusal(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  head->method = method;
  head->target = target;
  head->http_1_1 = version == "HTTP/1.1";
}

Header parse_header_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') throw Refusal(400, "Folded header line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    throw Refusal(400, "Malformed header line");
  }
  const std::string_view value = trim(line.substr(colon + 1));
  if (has_control(value)) throw Refusal(400, "Control character in a header");
  return {to_lower(line.substr(0, colon)), std::string(value)};
}

size_t count(const Head& head, std::string_view name) {
  return size_t(std::count_if(head.headers.begin(), head.headers.end(),
                              [&](const Header& header) { return header.name == name; }));
}

uint64_t parse_content_length(const std::string& text) {
  constexpr size_t kMaxDigits = 18;  // fits 64 bits without a check for overflow
  const bool digits =
      !text.empty() && text.size() <= kMaxDigits &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) throw Refusal(400, "Content-Length is not a plain number");
  return std::stoull(text);
}

void read_framing(Head* head) {
  const size_t lengths = count(*head, "content-length");
  const size_t codings = count(*head, "transfer-encoding");
  if (lengths > 1) throw Refusal(400, "More than one Content-Length");
  if (codings > 0 && lengths > 0) {
    throw Refusal(400, "Both Content-Length and Transfer-Encoding");
  }
  if (codings > 0) {
    const bool chunked = codings == 1 && to_lower(*head->find("transfer-encoding")) == "chunked";
    if (!chunked || !head->http_1_1) {
      throw Refusal(400, "Transfer-Encoding other than chunked");
    }
    head->framing = Framing::kChunked;
  } else if (lengths > 0) {
    head->framing = Framing::kLength;
    head->content_length = parse_content_length(*head->find("content-length"));
  }
}

bool lists(const std::string* value, std::string_view option) {
  if (value == nullptr) return false;
  const std::string lower = to_lower(*value);
  std::string_view rest = lower;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (trim(rest.substr(0, comma)) == option) return true;
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return false;
}

void read_options(Head* head) {
  if (count(*head, "host") > 1 || (head->http_1_1 && count(*head, "host") == 0)) {
    throw Refusal(400, "Exactly one Host header is needed");
  }
  const std::string* connection = head->find("connection");
  head->keep_alive = head->http_1_1 ? !lists(connection, "close") : lists(connection, "keep-alive");
  const std::string* expect = head->find("expect");
  if (expect == nullptr) return;
  if (to_lower(*expect) != "100-continue") throw Refusal(417, "Unknown expectation");
  head->expect_continue = head->http_1_1;
}

}  // namespace

size_t HeadScanner::scan(std::string_view buffer, const HeadLimits& limits) {
  while (scanned_ < buffer.size()) {
    const char* from = buffer.data() + scanned_;
    const auto* feed = static_cast<const char*>(std::memchr(from, '\n', buffer.size() - scanned_));
    const size_t end = feed == nullptr ? buffer.size() : size_t(feed - buffer.data());
    const bool has_nul = std::memchr(from, '\0', end - scanned_) != nullptr;
    if (has_nul) throw Refusal(400, "NUL in the request head");
    scanned_ = feed == nullptr ? end : end + 1;
    if (scanned_ > limits.max_bytes) break;
    if (feed == nullptr) break;
    if (end == line_start_ || buffer[end - 1] != '\r') {
      throw Refusal(400, "Line feed without carriage return");
    }
    const bool empty_line = end - 1 == line_start_;
    line_start_ = scanned_;
    if (empty_line) return scanned_;
  }
  if (scanned_ <= limits.max_bytes) return 0;
  throw line_start_ == 0 ? Refusal(414, "Request target too long")
                         : Refusal(431, "Request header fields too large");
}

Head parse_head(std::string_view bytes, const HeadLimits& limits) {
  Head head;
  size_t end = bytes.find("\r\n");
  parse_request_line(bytes.substr(0, end), limits, &head);
  bytes.remove_prefix(end + 2);
  while ((end = bytes.find("\r\n")) != 0 && end != std::string_view::npos) {
    if (head.headers.size() == limits.max_headers) throw Refusal(431, "Too many header fields");
    head.headers.push_back(parse_header_line(bytes.substr(0, end)));
    bytes.remove_prefix(end + 2);
  }
  read_framing(&head);
  read_options(&head);
  head.path = normalise_path(head.target);
  return head;
}

std::string normalise_path(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (target.substr(0, kScheme.size()) == kScheme) {  // absolute form, as proxies send it
    const size_t slash = target.find('/', kScheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  const auto decoded = percent_decode(target.substr(0, target.find_first_of("?#")));
  if (!decoded) throw Refusal(400, "Malformed percent-encoding in the request target");
  if (has_control(*decoded)) throw Refusal(400, "Control character in the request target");
  std::string path;
  for (const char c : *decoded) {
    if (c != '/' || path.empty() || path.back() != '/') path += c;
  }
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

const std::string* Head::find(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const Header& header) { return header.name == name; });
  return found == headers.end() ? nullptr : &found->value;
}

}  // namespace face::http
