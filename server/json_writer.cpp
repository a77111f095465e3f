// SPDX-License-Identifier: MIT
// server/json_writer.cpp - escaping, float text, faces.
#include "server/json_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/error.h"
#include "server/text.h"

namespace face {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

void append_escaped(std::string* out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default:
      break;
  }
  out->append("\\u00");
  out->push_back(kHex[size_t(c) >> 4]);
  out->push_back(kHex[size_t(c) & 15]);
}

int truncated(float value, const char* what) {
  constexpr float kLargest = 1e9f;  // far outside any picture, and inside int
  if (!(std::fabs(value) <= kLargest)) {
    throw Error(ErrorKind::kInternal, std::string(what) + " is not a usable number");
  }
  return int(value);
}

void append_int(std::string* out, const char* key, int value) {
  out->append(key).append(std::to_string(value));
}

void append_box(std::string* out, const Detection& box) {
  const int x1 = truncated(box.x1, "bbox_x");
  const int y1 = truncated(box.y1, "bbox_y");
  append_int(out, "{\"bbox_x\":", x1);
  append_int(out, ",\"bbox_y\":", y1);
  append_int(out, ",\"bbox_width\":", truncated(box.x2, "bbox_width") - x1);
  append_int(out, ",\"bbox_height\":", truncated(box.y2, "bbox_height") - y1);
}

void append_embedding(std::string* out, const std::vector<float>& embedding) {
  const bool zero = std::all_of(embedding.begin(), embedding.end(), [](float v) { return v == 0; });
  if (zero && !embedding.empty()) throw Error(ErrorKind::kInternal, "embedding is all zero");
  out->append(",\"embedding\":[");
  for (size_t i = 0; i < embedding.size(); ++i) {
    if (i > 0) out->push_back(',');
    append_json_float(out, embedding[i], "embedding");
  }
  out->push_back(']');
}

void append_landmarks(std::string* out, const Detection& face) {
  out->append(",\"landmarks\":[");
  for (const Point& point : face.landmarks) {
    if (&point != face.landmarks) out->push_back(',');
    out->push_back('[');
    append_json_float(out, point.x, "landmarks");
    out->push_back(',');
    append_json_float(out, point.y, "landmarks");
    out->push_back(']');
  }
  out->append("]}");
}

}  // namespace

void append_json_string(std::string* out, std::string_view text) {
  out->push_back('"');
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) {
      out->append(kReplacement);
    } else if (length > 1) {
      out->append(text, 0, length);
    } else if (text[0] == '"' || text[0] == '\\' || static_cast<unsigned char>(text[0]) < 32) {
      append_escaped(out, text[0]);
    } else {
      out->push_back(text[0]);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out->push_back('"');
}

void append_json_float(std::string* out, float value, const char* what) {
  if (!std::isfinite(value)) {
    throw Error(ErrorKind::kInternal, std::string(what) + " is not a finite number");
  }
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out->append(buffer.data(), result.ptr);
}

void append_json_fixed(std::string* out, double value, int decimals, const char* what) {
  constexpr double kLargest = 1e15;
  if (!(std::fabs(value) <= kLargest)) {
    throw Error(ErrorKind::kInternal, std::string(what) + " is not a usable number");
  }
  const double scale = std::pow(10.0, decimals);
  std::array<char, 40> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                    std::round(value * scale) / scale);
  out->append(buffer.data(), result.ptr);
}

void append_faces(std::string* out, const std::vector<Face>& faces, int image_width,
                  int image_height) {
  constexpr size_t kFaceBytes = 300;
  constexpr size_t kFloatBytes = 12;
  const size_t floats = faces.empty() ? 0 : faces.front().embedding.size();
  out->reserve(out->size() + (faces.size() + 1) * (kFaceBytes + kFloatBytes * floats));
  out->append("\"faces\":[");
  for (const Face& face : faces) {
    if (&face != faces.data()) out->push_back(',');
    append_box(out, face.detection);
    append_embedding(out, face.embedding);
    out->append(",\"confidence\":");
    append_json_float(out, face.detection.score, "confidence");
    append_landmarks(out, face.detection);
  }
  append_int(out, "],\"image_width\":", image_width);
  append_int(out, ",\"image_height\":", image_height);
}

void append_detection(std::string* out, const std::vector<Face>& faces, int image_width,
                      int image_height, double milliseconds) {
  out->push_back('{');
  append_faces(out, faces, image_width, image_height);
  out->append(",\"processing_time_ms\":");
  append_json_fixed(out, milliseconds, 2, "processing_time_ms");
  out->push_back('}');
}

}  // namespace face
