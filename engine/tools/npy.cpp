// SPDX-License-Identifier: MIT
#include "engine/tools/npy.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

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

std::string field(const std::string& header, const std::string& pattern,
                  const std::filesystem::path& path) {
  std::smatch match;
  if (!std::regex_search(header, match, std::regex(pattern)))
    refuse(path, "header without " + pattern.substr(1, pattern.find('\'', 1) - 1));
  return match[1];
}

std::vector<int64_t> parse_shape(const std::string& text, const std::filesystem::path& path) {
  std::vector<int64_t> shape;
  uint64_t count = 1;
  const std::regex number("[0-9]+");
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    if (it->length() > 10) refuse(path, "shape (" + text + ")");
    shape.push_back(std::stoll(it->str()));
    count *= static_cast<uint64_t>(shape.back());
    if (count > kMaxValues) refuse(path, "shape (" + text + ")");
  }
  return shape;
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_bytes(path);
  size_t begin = 0;
  const std::string header = header_of(bytes, path, begin);
  const std::string type = field(header, "'descr':\\s*'([^']*)'", path);
  if (type != "<f4") refuse(path, "type " + type + ", want <f4 (float32)");
  if (field(header, "'fortran_order':\\s*(True|False)", path) == "True")
    refuse(path, "Fortran order, want C order");
  NpyArray array;
  array.shape = parse_shape(field(header, "'shape':\\s*\\(([^)]*)\\)", path), path);
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
