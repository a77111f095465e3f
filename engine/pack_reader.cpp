// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "engine/error.h"
#include "engine/pack.h"
#include "engine/pack_format.h"

namespace face {
namespace {

using pack_format::Header;
using pack_format::Section;
using pack_format::SectionKind;
using Bytes = std::span<const std::byte>;

/// Throws Error(kBadModel) "FILE: field: reason".
struct Failure {
  std::string file;
  [[noreturn]] void operator()(const std::string& field, const std::string& reason) const {
    throw Error(ErrorKind::kBadModel, file + ": " + field + ": " + reason);
  }
};

/// A file mapped read-only.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(path);
    struct stat status {};
    const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    size_ = is_file ? static_cast<size_t>(status.st_size) : 0;
    if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    if (!is_file) throw Error(ErrorKind::kIo, path.string() + ": not a regular file");
    errno = error;
    if (data_ == MAP_FAILED) fail(path);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  [[nodiscard]] Bytes bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  void release_pages() const {
    if (size_ > 0) ::madvise(data_, size_, MADV_DONTNEED);
  }

 private:
  [[noreturn]] static void fail(const std::filesystem::path& path) {
    throw Error(ErrorKind::kIo, path.string() + ": cannot open: " + std::strerror(errno));
  }

  void* data_ = nullptr;
  size_t size_ = 0;
};

/// Reads values one after another; running out of bytes is an error that names the field.
class Decoder {
 public:
  Decoder(Bytes bytes, std::string section, const Failure& fail)
      : bytes_(bytes), section_(std::move(section)), fail_(fail) {}

  template <typename T>
  T value(const char* field) {
    T v;
    std::memcpy(&v, take(sizeof(T), field).data(), sizeof(T));
    return v;
  }
  int integer(const char* field) { return value<int32_t>(field); }
  bool flag(const char* field) {
    const auto v = value<uint32_t>(field);
    if (v > 1) fail(field, std::to_string(v) + " is neither 0 nor 1");
    return v == 1;
  }
  std::string text(const char* field) {
    const Bytes s = take(value<uint32_t>(field), field);
    return {reinterpret_cast<const char*>(s.data()), s.size()};
  }
  /// Number of entries that follow, each of at least `entry_size` bytes.
  size_t count(const char* field, size_t entry_size) {
    const auto n = value<uint32_t>(field);
    if (n > bytes_.size() / entry_size) fail(field, std::to_string(n) + " entries do not fit");
    return n;
  }
  void end() const {
    if (!bytes_.empty()) fail("end", std::to_string(bytes_.size()) + " bytes left over");
  }
  [[noreturn]] void fail(const std::string& field, const std::string& reason) const {
    fail_(section_ + " " + field, reason);
  }

 private:
  Bytes take(size_t n, const char* field) {
    if (n > bytes_.size()) fail(field, "section ends early");
    const Bytes head = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return head;
  }

  Bytes bytes_;
  std::string section_;
  const Failure& fail_;
};

std::span<const float> decode_array(Decoder& in, const char* field, Bytes weights) {
  const auto offset = in.value<uint64_t>(field);
  const auto count = in.value<uint64_t>(field);
  if (offset % pack_format::kAlignment != 0) in.fail(field, "offset is not aligned");
  if (offset > weights.size() || count > (weights.size() - offset) / sizeof(float))
    in.fail(field, "lies outside the weights");
  if (count == 0) return {};
  return {reinterpret_cast<const float*>(weights.data() + offset), count};
}

Input decode_input(Decoder& in) {
  Input input;
  input.name = in.text("input name");
  input.tensor = in.integer("input tensor");
  input.height = in.integer("input height");
  input.width = in.integer("input width");
  input.pixel_mean = in.value<float>("pixel mean");
  input.pixel_scale = in.value<float>("pixel scale");
  input.onnx_mean = in.value<float>("onnx mean");
  input.onnx_scale = in.value<float>("onnx scale");
  return input;
}

Op decode_op(Decoder& in, Bytes weights) {
  Op op;
  op.kind = static_cast<OpKind>(in.value<uint32_t>("op kind"));  // validate() knows the values
  op.name = in.text("op name");
  op.input = in.integer("op input");
  op.output = in.integer("op output");
  op.addend = in.integer("op addend");
  op.addend_upsampled = in.flag("op addend_upsampled");
  op.groups = in.integer("op groups");
  for (int* v : {&op.kernel_h, &op.kernel_w, &op.stride_h, &op.stride_w})
    *v = in.integer("op kernel");
  for (int* v : {&op.pad_top, &op.pad_left, &op.pad_bottom, &op.pad_right})
    *v = in.integer("op padding");
  op.ceil_mode = in.flag("op ceil_mode");
  op.count_include_pad = in.flag("op count_include_pad");
  op.activation = static_cast<Activation>(in.value<uint32_t>("op activation"));
  op.clip_low = in.value<float>("op clip_low");
  op.clip_high = in.value<float>("op clip_high");
  op.weights = decode_array(in, "op weights", weights);
  op.bias_kind = static_cast<BiasKind>(in.value<uint32_t>("op bias_kind"));
  op.bias = decode_array(in, "op bias", weights);
  op.slopes = decode_array(in, "op slopes", weights);
  return op;
}

Output decode_output(Decoder& in) {
  Output o;
  o.name = in.text("output name");
  o.tensor = in.integer("output tensor");
  o.channel_begin = in.integer("output channel_begin");
  o.channel_count = in.integer("output channel_count");
  o.columns = in.integer("output columns");
  o.sigmoid = in.flag("output sigmoid");
  o.batch_dim = in.flag("output batch_dim");
  return o;
}

DetectorLevel decode_level(Decoder& in) {
  DetectorLevel l;
  l.stride = in.integer("level stride");
  l.anchors = in.integer("level anchors");
  l.tensor = in.integer("level tensor");
  l.score_channel = in.integer("level score_channel");
  l.box_channel = in.integer("level box_channel");
  l.landmark_channel = in.integer("level landmark_channel");
  return l;
}

Network decode_graph(Decoder in, Bytes weights) {
  Network network;
  network.role = static_cast<NetworkRole>(in.value<uint32_t>("role"));
  network.input = decode_input(in);
  network.tensors.resize(in.count("tensors", 8));
  for (Tensor& tensor : network.tensors) {
    tensor.name = in.text("tensor name");
    tensor.channels = in.integer("tensor channels");
  }
  network.ops.resize(in.count("ops", 100));
  for (Op& op : network.ops) op = decode_op(in, weights);
  network.outputs.resize(in.count("outputs", 28));
  for (Output& output : network.outputs) output = decode_output(in);
  network.levels.resize(in.count("levels", 24));
  for (DetectorLevel& level : network.levels) level = decode_level(in);
  network.embedding_size = in.integer("embedding_size");
  in.end();
  return network;
}

Provenance decode_provenance(Decoder in) {
  Provenance p;
  p.tool_version = in.text("tool_version");
  p.licence = in.text("licence");
  p.generated = in.flag("generated");
  p.sources.resize(in.count("sources", 12));
  for (Source& source : p.sources) {
    const auto role = in.value<uint32_t>("source role");
    if (role != 1 && role != 2) in.fail("source role", "unknown value " + std::to_string(role));
    source.role = static_cast<NetworkRole>(role);
    source.file_name = in.text("source file_name");
    source.sha256 = in.text("source sha256");
  }
  in.end();
  return p;
}

std::string describe(const Section& s) {
  static constexpr const char* kKinds[] = {"provenance", "graph", "weights"};
  static constexpr const char* kRoles[] = {"", "detector ", "recogniser "};
  return std::string(kRoles[s.role]) + kKinds[s.kind - 1] + " section";
}

Header read_header(Bytes file, const Failure& fail) {
  Header header;
  if (file.size() < sizeof(header))
    fail("header", "file of " + std::to_string(file.size()) + " bytes is too short");
  std::memcpy(&header, file.data(), sizeof(header));
  if (!std::equal(std::begin(header.magic), std::end(header.magic), pack_format::kMagic))
    fail("magic", "not a face-worker weight file");
  if (header.byte_order != pack_format::kByteOrderMark)
    fail("byte_order", "written on a machine of other byte order, or damaged");
  if (header.version != pack_format::kVersion)
    fail("version", std::to_string(header.version) + ", this program reads " +
                        std::to_string(pack_format::kVersion));
  if (header.header_crc != pack_format::crc32(file.first(offsetof(Header, header_crc))))
    fail("header_crc", "checksum differs, the file is damaged");
  if (header.file_size != file.size())
    fail("file_size", "header says " + std::to_string(header.file_size) + " bytes, file has " +
                          std::to_string(file.size()));
  if (std::any_of(std::begin(header.reserved), std::end(header.reserved), [](auto b) { return b; }))
    fail("reserved", "header has unknown fields");
  return header;
}

std::vector<Section> read_table(Bytes file, const Header& header, const Failure& fail) {
  if (header.section_count < 1 || header.section_count > pack_format::kMaxSections ||
      file.size() < sizeof(Header) + header.section_count * sizeof(Section))
    fail("section_count", std::to_string(header.section_count));
  std::vector<Section> table(header.section_count);
  const Bytes bytes = file.subspan(sizeof(Header), table.size() * sizeof(Section));
  if (header.table_crc != pack_format::crc32(bytes))
    fail("table_crc", "checksum differs, the file is damaged");
  std::memcpy(table.data(), bytes.data(), bytes.size());
  return table;
}

void check_zero(Bytes file, uint64_t begin, uint64_t end, const Failure& fail) {
  const Bytes gap = file.subspan(begin, end - begin);
  if (std::any_of(gap.begin(), gap.end(), [](std::byte b) { return b != std::byte{0}; }))
    fail("padding", "bytes " + std::to_string(begin) + " to " + std::to_string(end) + " not zero");
}

void check_section(const Section& s, size_t index, const Failure& fail) {
  const std::string field = "section " + std::to_string(index);
  if (s.kind < 1 || s.kind > 3) fail(field + " kind", "unknown value " + std::to_string(s.kind));
  const bool has_role = s.kind != static_cast<uint32_t>(SectionKind::kProvenance);
  if (has_role ? (s.role != 1 && s.role != 2) : s.role != 0)
    fail(field + " role", "unknown value " + std::to_string(s.role));
  if (s.reserved != 0) fail(field + " reserved", "not zero");
  if (s.offset % pack_format::kAlignment != 0) fail(field + " offset", "not aligned");
}

/// Sections must follow each other without overlap, with less than one alignment of zeros between,
/// to the end of the file: no byte escapes the checks.
void check_sections(Bytes file, const std::vector<Section>& table, const Failure& fail) {
  uint64_t end = sizeof(Header) + table.size() * sizeof(Section);
  for (size_t i = 0; i < table.size(); ++i) {
    const Section& s = table[i];
    check_section(s, i, fail);
    const std::string field = describe(s);
    if (s.offset != pack_format::align_up(end) || s.offset > file.size() ||
        s.size > file.size() - s.offset)
      fail(field, "overlaps or lies outside the file");
    check_zero(file, end, s.offset, fail);
    if (s.crc != pack_format::crc32(file.subspan(s.offset, s.size)))
      fail(field, "checksum differs, the file is damaged");
    end = s.offset + s.size;
  }
  if (end != file.size()) fail("file_size", "bytes after the last section");
}

class MappedPack final : public Pack {
 public:
  explicit MappedPack(const std::filesystem::path& path)
      : path_(path), fail_{path.string()}, mapping_(path) {
    const Bytes file = mapping_.bytes();
    table_ = read_table(file, read_header(file, fail_), fail_);
    check_sections(file, table_, fail_);
    load();
    fingerprint_ = compute_fingerprint();
  }

  [[nodiscard]] const Network* detector() const override { return get(NetworkRole::kDetector); }
  [[nodiscard]] const Network* recogniser() const override { return get(NetworkRole::kRecogniser); }
  [[nodiscard]] const Provenance& provenance() const override { return provenance_; }
  [[nodiscard]] const std::string& fingerprint() const override { return fingerprint_; }
  [[nodiscard]] const std::filesystem::path& path() const override { return path_; }
  void release_pages() const override { mapping_.release_pages(); }

 private:
  void load() {
    provenance_ = decode_provenance(decoder(only(SectionKind::kProvenance, 0)));
    for (const NetworkRole role : {NetworkRole::kDetector, NetworkRole::kRecogniser}) {
      const auto r = static_cast<uint32_t>(role);
      if (!find(SectionKind::kGraph, r) && !find(SectionKind::kWeights, r)) continue;
      const Bytes weights = bytes(only(SectionKind::kWeights, r));
      const Section& graph = only(SectionKind::kGraph, r);
      networks_[r - 1] = decode_graph(decoder(graph), weights);
      if (networks_[r - 1]->role != role)
        fail_(describe(graph) + " role", "differs from section's");
      validate(*networks_[r - 1], path_.string() + ": " + describe(graph));
    }
    if (!detector() && !recogniser()) fail_("sections", "no network");
  }

  const Section* find(SectionKind kind, uint32_t role) const {
    for (const Section& s : table_)
      if (s.kind == static_cast<uint32_t>(kind) && s.role == role) return &s;
    return nullptr;
  }

  const Section& only(SectionKind kind, uint32_t role) const {
    const Section* found = find(kind, role);
    const Section wanted{static_cast<uint32_t>(kind), role, 0, 0, 0, 0};
    if (found == nullptr) fail_(describe(wanted), "missing");
    for (const Section& s : table_)
      if (&s != found && s.kind == found->kind && s.role == role) fail_(describe(s), "twice");
    return *found;
  }

  Bytes bytes(const Section& s) const { return mapping_.bytes().subspan(s.offset, s.size); }
  Decoder decoder(const Section& s) const { return {bytes(s), describe(s), fail_}; }

  const Network* get(NetworkRole role) const {
    const auto& network = networks_[static_cast<uint32_t>(role) - 1];
    return network ? &*network : nullptr;
  }

  /// FNV-1a over kind, role, size and checksum of every graph and weights section.
  std::string compute_fingerprint() const {
    uint64_t hash = 0xcbf29ce484222325;
    for (const Section& s : table_) {
      if (s.kind == static_cast<uint32_t>(SectionKind::kProvenance)) continue;
      for (uint64_t v : {uint64_t{s.kind}, uint64_t{s.role}, s.size, uint64_t{s.crc}})
        for (int i = 0; i < 8; ++i) hash = (hash ^ ((v >> (8 * i)) & 0xff)) * 0x100000001b3;
    }
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
    return text;
  }

  std::filesystem::path path_;
  Failure fail_;
  Mapping mapping_;
  std::vector<Section> table_;
  Provenance provenance_;
  std::array<std::optional<Network>, 2> networks_;
  std::string fingerprint_;
};

}  // namespace

std::shared_ptr<const Pack> Pack::open(const std::filesystem::path& path) {
  return std::make_shared<MappedPack>(path);
}

}  // namespace face
