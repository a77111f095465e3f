// SPDX-License-Identifier: MIT
#include "engine/tools/npy.h"

#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

#include "engine/error.h"

namespace face {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicBytes = 6;
constexpr size_t kAlignment = 64;
constexpr uint64_t kMaxValues = uint64_t{1} << 31;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorKind::kInvalidArgument, path.string() + ": " + reason);
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kIo, path.string() + ": cannot be opened");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The header's dictionary; `begin` becomes the offset of the values.
std::string header_of(const std::string& bytes, const std::filesystem::path& path, size_t& begin) {
  if (bytes.size() < 10 || bytes.compare(0, kMagicBytes, kMagic, kMagicBytes) != 0)
    refuse(path, "not an .npy file");
  const int version = static_cast<uint8_t>(bytes[kMagicBytes]);
  if (version < 1 || version > 3) refuse(path, "version " + std::to_string(version));
  const size_t width = version == 1 ? 2 : 4, start = kMagicBytes + 2 + width;
  size_t length = 0;
  for (size_t i = 0; i < width && kMagicBytes + 2 + i < bytes.size(); ++i)
    length |= size_t(static_cast<uint8_t>(bytes[kMagicBytes + 2 + i])) << (8 * i);
  if (start > bytes.size() || length > bytes.size() - start) refuse(path, "truncated header");
  begin = start + length;
  return bytes.substr(start, length);
}

/// What stands behind `'key':` in the header, from `open` (kept out) to the next of `close`.
std::string field(const std::string& header, const std::string& key, char open, const char* close,
                  const std::filesystem::path& path) {
  const size_t name = header.find("'" + key + "'");
  if (name == std::string::npos) refuse(path, "header without '" + key + "'");
  size_t at = header.find_first_not_of(" :", name + key.size() + 2);
  if (at != std::string::npos && open != '\0') at = header[at] == open ? at + 1 : std::string::npos;
  const size_t end = at == std::string::npos ? at : header.find_first_of(close, at);
  if (end == std::string::npos) refuse(path, "header with a broken '" + key + "'");
  return header.substr(at, end - at);
}

std::vector<int64_t> parse_shape(const std::string& text, const std::filesystem::path& path) {
  std::vector<int64_t> shape;
  uint64_t count = 1;
  std::istringstream sides(text);
  for (std::string side; std::getline(sides, side, ',');) {
    const size_t first = side.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    int64_t value = 0;
    const char* const end = side.data() + side.size();
    const auto parsed = std::from_chars(side.data() + first, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || value < 0 ||
        static_cast<uint64_t>(value) > kMaxValues)
      refuse(path, "shape (" + text + ")");
    shape.push_back(value);
    count *= static_cast<uint64_t>(value);
    if (count > kMaxValues) refuse(path, "shape (" + text + ")");
  }
  return shape;
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_bytes(path);
  size_t begin = 0;
  const std::string header = header_of(bytes, path, begin);
  const std::string type = field(header, "descr", '\'', "'", path);
  if (type != "<f4") refuse(path, "type " + type + ", want <f4 (float32)");
  if (field(header, "fortran_order", '\0', ",} ", path) != "False")
    refuse(path, "Fortran order, want C order");
  NpyArray array;
  array.shape = parse_shape(field(header, "shape", '(', ")", path), path);
  size_t count = 1;
  for (const int64_t side : array.shape) count *= static_cast<size_t>(side);
  if (bytes.size() - begin != count * sizeof(float))
    refuse(path, std::to_string(bytes.size() - begin) + " bytes of values, the shape says " +
                     std::to_string(count * sizeof(float)));
  array.values.resize(count);
  std::memcpy(array.values.data(), bytes.data() + begin, count * sizeof(float));
  return array;
}

void write_npy(const std::filesystem::path& path, const NpyArray& array) {
  std::string shape;
  for (const int64_t side : array.shape) shape += std::to_string(side) + ", ";
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  const size_t used = kMagicBytes + 4 + header.size() + 1;
  header.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  header += '\n';
  const char prefix[] = {1, 0, static_cast<char>(header.size() & 0xff),
                         static_cast<char>(header.size() >> 8)};
  std::ofstream file(path, std::ios::binary);
  file.write(kMagic, kMagicBytes).write(prefix, sizeof(prefix)) << header;
  file.write(reinterpret_cast<const char*>(array.values.data()),
             static_cast<std::streamsize>(array.values.size() * sizeof(float)));
  if (!file.flush()) throw Error(ErrorKind::kIo, path.string() + ": cannot be written");
}

}  // namespace face
