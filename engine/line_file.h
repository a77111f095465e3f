// SPDX-License-Identifier: MIT
// engine/line_file.h - what was measured on a machine, kept between processes in a text file.
//
// Two header lines, format and machine, then one line per key: key, fields and a CRC-32 of all
// that in hexadecimal, separated by tabs. Worth nothing elsewhere and safe to delete.
#pragma once

#include <charconv>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace face {

/// Fields by key. Neither may hold tabs or line ends.
using LineTable = std::map<std::string, std::vector<std::string>>;

/// The lines of `path` if its format and machine are these, else none. A missing file is empty, a
/// line whose checksum is wrong is left out.
[[nodiscard]] LineTable read_lines(const std::filesystem::path& path, const std::string& format,
                                   const std::string& machine);

/// Writes a temporary file beside `path` and renames it. False if the folder cannot be written.
bool write_lines(const std::filesystem::path& path, const std::string& format,
                 const std::string& machine, const LineTable& table);

/// Whether all of `text` is a number, which goes to `value`.
template <typename Number>
[[nodiscard]] bool parse_number(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace face
