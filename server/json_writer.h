// SPDX-License-Identifier: MIT
// server/json_writer.h - JSON text by appending: strings, numbers, and the answers of the contract.
// Compact, as FastAPI sends it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend.h"

namespace face {

/// `text` in quotes. Quotes, backslashes and control characters are escaped; bytes that are not
/// UTF-8 become U+FFFD.
void append_json_string(std::string* out, std::string_view text);

/// The shortest text that reads back as the same float.
/// Errors: kInternal - not finite; message names `what`.
void append_json_float(std::string* out, float value, const char* what);
/// At most `decimals` digits after the point. Errors: as append_json_float().
void append_json_fixed(std::string* out, double value, int decimals, const char* what);

/// "faces": [...], "image_width": w, "image_height": h - members without braces around them.
/// Box corners are truncated toward zero and not clamped to the image; width = int(x2) - int(x1).
/// Errors: kInternal - a number that is not finite or too large, or an embedding of zeros.
void append_faces(std::string* out, const std::vector<Face>& faces, int image_width,
                  int image_height);
/// {those members, "processing_time_ms"}, as /detect answers. Errors: as append_faces().
void append_detection(std::string* out, const std::vector<Face>& faces, int image_width,
                      int image_height, double milliseconds);

}  // namespace face
