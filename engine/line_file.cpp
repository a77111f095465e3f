// SPDX-License-Identifier: MIT
#include "engine/line_file.h"

#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <system_error>

namespace face {
namespace {

std::string checksum(const std::string& text) {
  const auto crc =
      ::crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
  char hex[9];
  std::snprintf(hex, sizeof(hex), "%08lx", static_cast<unsigned long>(crc));
  return hex;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

std::string join(const std::string& key, const std::vector<std::string>& fields) {
  std::string line = key;
  for (const std::string& field : fields) line += '\t' + field;
  return line;
}

}  // namespace

LineTable read_lines(const std::filesystem::path& path, const std::string& format,
                     const std::string& machine) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != format) return {};
  if (!std::getline(file, line) || line != machine) return {};
  LineTable table;
  while (std::getline(file, line)) {
    const size_t tab = line.rfind('\t');
    if (tab == std::string::npos || line.substr(tab + 1) != checksum(line.substr(0, tab))) continue;
    std::vector<std::string> fields = split(line.substr(0, tab));
    if (fields.empty()) continue;
    const std::string key = fields.front();
    fields.erase(fields.begin());
    table[key] = std::move(fields);
  }
  return table;
}

bool write_lines(const std::filesystem::path& path, const std::string& format,
                 const std::string& machine, const LineTable& table) {
  std::filesystem::path temporary = path;
  temporary += ".tmp" + std::to_string(::getpid());
  std::ofstream file(temporary);
  file << format << '\n' << machine << '\n';
  for (const auto& [key, fields] : table) {
    const std::string line = join(key, fields);
    file << line << '\t' << checksum(line) << '\n';
  }
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (file && !error) return true;
  std::filesystem::remove(temporary, error);
  return false;
}

}  // namespace face
