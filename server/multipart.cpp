// SPDX-License-Identifier: MIT
// server/multipart.cpp - boundary search and part headers.
#include "server/multipart.h"

#include <algorithm>
#include <cctype>

#include "server/http_message.h"
#include "server/text.h"

namespace face {
namespace {

constexpr size_t kMaxBoundary = 70;  // RFC 2046

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes `; key=value` or `; key="value"` off `text`; false at its end or if it is malformed.
bool take_parameter(std::string_view* text, std::string_view* key, std::string* value) {
  *text = trim(*text);
  if (text->empty() || text->front() != ';') return false;
  *text = trim(text->substr(1));
  const size_t equals = text->find('=');
  if (equals == std::string_view::npos) return false;
  *key = trim(text->substr(0, equals));
  *text = trim(text->substr(equals + 1));
  value->clear();
  if (text->empty() || text->front() != '"') {
    const size_t end = std::min(text->find(';'), text->size());
    *value = trim(text->substr(0, end));
    text->remove_prefix(end);
    return true;
  }
  size_t i = 1;
  for (; i < text->size() && (*text)[i] != '"'; ++i) {
    // Browsers send a backslash of a path as it is; only \" and \\ are escapes.
    const bool escape = (*text)[i] == '\\' && i + 1 < text->size() &&
                        ((*text)[i + 1] == '"' || (*text)[i + 1] == '\\');
    if (escape) ++i;
    value->push_back((*text)[i]);
  }
  const bool closed = i < text->size();
  text->remove_prefix(std::min(i + 1, text->size()));
  return closed;
}

/// The value of `filename*`: charset'language'escapes (RFC 5987), as some clients write names that
/// are not ASCII. Nothing if it is malformed or of another charset.
std::optional<std::string> extended_value(std::string_view text) {
  const size_t first = text.find('\'');
  const size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view charset = text.substr(0, first);
  const bool utf8 = equals_ignoring_case(charset, "utf-8");
  if (!utf8 && !equals_ignoring_case(charset, "iso-8859-1")) return std::nullopt;
  const auto value = percent_decode(text.substr(second + 1));
  return !value || utf8 ? value : latin1_to_utf8(*value);
}

/// As FastAPI reads names: UTF-8, else Latin-1; a path keeps its folders, unless it is an absolute
/// one of Windows.
std::string file_name_of(const std::string& sent) {
  const std::string name = is_utf8(sent) ? sent : latin1_to_utf8(sent);
  const std::string_view head = std::string_view(name).substr(0, 3);
  const bool windows_path =
      head.substr(0, 2) == "\\\\" || (head.size() == 3 && head.substr(1) == ":\\");
  return windows_path ? name.substr(name.rfind('\\') + 1) : name;
}

void read_disposition(std::string_view value, FormPart* part) {
  const size_t semicolon = std::min(value.find(';'), value.size());
  std::string_view rest = value.substr(semicolon);
  std::string_view key;
  std::string text;
  std::optional<std::string> extended;
  while (take_parameter(&rest, &key, &text)) {
    if (equals_ignoring_case(key, "name")) part->name = text;
    if (equals_ignoring_case(key, "filename")) part->file_name = file_name_of(text);
    if (equals_ignoring_case(key, "filename*")) extended = extended_value(text);
  }
  if (extended) part->file_name = file_name_of(*extended);
}

void read_header(std::string_view line, FormPart* part) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw http::Refusal(400, "Malformed part header");
  if (equals_ignoring_case(trim(line.substr(0, colon)), "content-disposition")) {
    read_disposition(trim(line.substr(colon + 1)), part);
  }
}

/// Walks a body from one boundary to the next. Linear: a delimiter has one carriage return, at
/// its start, so two comparisons never look at the same byte.
class Walker {
 public:
  Walker(std::string_view body, std::string_view boundary)
      : rest_(body), delimiter_("\r\n--" + std::string(boundary)) {}

  /// Skips the preamble and the first boundary; false if there is none.
  bool start() {
    const std::string_view first = std::string_view(delimiter_).substr(2);
    if (rest_.substr(0, first.size()) == first) {
      rest_.remove_prefix(first.size());
      return true;
    }
    return take_until_boundary().has_value();
  }

  /// After a boundary: true if a part follows, false if that was the last boundary.
  bool begins_part() {
    if (rest_.substr(0, 2) == "--") return false;
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
    if (rest_.substr(0, 2) != "\r\n") throw http::Refusal(400, "Malformed multipart boundary");
    return true;  // the line end stays: it may begin the next boundary
  }

  /// The headers, each line with its end before it. The empty line is consumed.
  std::string_view take_headers(size_t limit) {
    const std::string_view window = rest_.substr(0, limit + 4);
    const size_t end = window.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      if (window.size() <= limit) throw http::Refusal(400, "Unfinished part headers");
      throw http::Refusal(431, "Part headers too large");
    }
    const std::string_view headers = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return headers;
  }

  /// Everything up to the next boundary, which is consumed; nothing if there is no other.
  std::optional<std::string_view> take_until_boundary() {
    for (size_t at = 0; at < rest_.size(); ++at) {
      if (rest_[at] != '\r') {
        at = rest_.find('\r', at);
        if (at == std::string_view::npos) break;
      }
      const bool near = rest_.size() - at >= delimiter_.size() && rest_[at + 1] == '\n' &&
                        rest_[at + 2] == '-' && rest_[at + 3] == '-';
      if (!near || rest_.compare(at, delimiter_.size(), delimiter_) != 0) continue;
      const std::string_view taken = rest_.substr(0, at);
      rest_.remove_prefix(at + delimiter_.size());
      return taken;
    }
    return std::nullopt;
  }

 private:
  std::string_view rest_;
  std::string delimiter_;
};

FormPart read_part(Walker* walker, const MultipartLimits& limits) {
  FormPart part;
  std::string_view headers = walker->take_headers(limits.max_part_header);
  while (!headers.empty()) {
    headers.remove_prefix(2);
    const size_t end = std::min(headers.find("\r\n"), headers.size());
    read_header(headers.substr(0, end), &part);
    headers.remove_prefix(end);
  }
  const auto content = walker->take_until_boundary();
  if (!content) throw http::Refusal(400, "Unfinished multipart body");
  part.content = content->substr(std::min<size_t>(2, content->size()));
  return part;
}

}  // namespace

std::optional<std::string> multipart_boundary(std::string_view content_type) {
  const size_t semicolon = std::min(content_type.find(';'), content_type.size());
  if (!equals_ignoring_case(trim(content_type.substr(0, semicolon)), "multipart/form-data")) {
    return std::nullopt;
  }
  std::string_view rest = content_type.substr(semicolon);
  std::string_view key;
  std::string value;
  while (take_parameter(&rest, &key, &value)) {
    if (!equals_ignoring_case(key, "boundary")) continue;
    if (value.empty() || value.size() > kMaxBoundary) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::vector<FormPart> parse_multipart(std::string_view body, std::string_view boundary,
                                      const MultipartLimits& limits) {
  if (body.empty()) return {};
  Walker walker(body, boundary);
  if (!walker.start()) throw http::Refusal(400, "No multipart boundary in the body");
  std::vector<FormPart> parts;
  while (walker.begins_part()) {
    if (parts.size() == limits.max_parts) {
      throw http::Refusal(413, "More than " + std::to_string(limits.max_parts) + " parts");
    }
    parts.push_back(read_part(&walker, limits));
  }
  return parts;
}

}  // namespace face
