// SPDX-License-Identifier: MIT
#include "weights_tool/model_source.h"

#include <zip.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>

#include "engine/error.h"

namespace face {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxMember = uint64_t{1} << 31;

struct CloseArchive {
  void operator()(zip_t* p) const { zip_discard(p); }
};
struct CloseMember {
  void operator()(zip_file_t* p) const { zip_fclose(p); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;

bool is_onnx(const fs::path& path) { return path.extension() == ".onnx"; }

bool is_zip(const fs::path& path) {
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof(magic));
  return std::string_view(magic, 4) == std::string_view("PK\3\4", 4);
}

Archive open_archive(const fs::path& path) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive != nullptr) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw Error(ErrorKind::kBadModel, path.filename().string() + ": broken archive: " + reason);
}

std::string read_member(const fs::path& path, const std::string& member) {
  const std::string where = path.filename().string() + ": " + member;
  const Archive archive = open_archive(path);
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_stat(archive.get(), member.c_str(), 0, &status) != 0 ||
      (status.valid & ZIP_STAT_SIZE) == 0)
    throw Error(ErrorKind::kBadModel, where + ": not in the archive");
  if (status.size > kMaxMember) throw Error(ErrorKind::kBadModel, where + ": larger than 2 GiB");
  const std::unique_ptr<zip_file_t, CloseMember> file(zip_fopen(archive.get(), member.c_str(), 0));
  std::string bytes(status.size, '\0');
  // One byte more makes libzip reach the end and compare the checksum.
  char beyond = 0;
  if (file == nullptr ||
      zip_fread(file.get(), bytes.data(), bytes.size()) != static_cast<zip_int64_t>(bytes.size()) ||
      zip_fread(file.get(), &beyond, 1) != 0)
    throw Error(ErrorKind::kBadModel, where + ": cannot be unpacked, the archive is broken");
  return bytes;
}

std::vector<ModelSource> archive_models(const fs::path& path) {
  const Archive archive = open_archive(path);
  std::vector<ModelSource> models;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    const char* name = zip_get_name(archive.get(), i, 0);
    if (name == nullptr || !is_onnx(name)) continue;
    const std::string member = name, file = fs::path(member).filename().string();
    models.push_back({file, false, [path, member, file] {
                        return onnx::parse_onnx(read_member(path, member), file);
                      }});
  }
  return models;
}

std::vector<ModelSource> folder_models(const fs::path& path) {
  std::vector<ModelSource> models;
  for (const auto& entry : fs::directory_iterator(path)) {
    const fs::path& file = entry.path();
    if (entry.is_regular_file() && is_onnx(file))
      models.push_back({file.filename().string(), false, [file] { return onnx::read_onnx(file); }});
  }
  return models;
}

std::vector<ModelSource> models_at(const fs::path& path) {
  if (!fs::exists(path)) throw Error(ErrorKind::kIo, path.string() + ": does not exist");
  const bool folder = fs::is_directory(path);
  if (!folder && !is_zip(path))
    return {{path.filename().string(), true, [path] { return onnx::read_onnx(path); }}};
  std::vector<ModelSource> models = folder ? folder_models(path) : archive_models(path);
  if (models.empty()) throw Error(ErrorKind::kBadModel, path.string() + ": holds no ONNX file");
  std::sort(models.begin(), models.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

}  // namespace

std::vector<ModelSource> find_models(const std::vector<fs::path>& paths) {
  std::vector<ModelSource> models;
  for (const fs::path& path : paths)
    for (ModelSource& model : models_at(path)) models.push_back(std::move(model));
  return models;
}

}  // namespace face
