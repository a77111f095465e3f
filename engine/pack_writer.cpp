// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/error.h"
#include "engine/pack.h"
#include "engine/pack_format.h"

namespace face {
namespace pack_format {

uint32_t crc32(std::span<const std::byte> bytes, uint32_t crc) {
  return static_cast<uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace pack_format

namespace {

using pack_format::align_up;
using pack_format::Header;
using pack_format::Section;
using pack_format::SectionKind;

/// Little-endian values one after another (the byte order mark rejects other machines).
class Encoder {
 public:
  template <typename T>
  void value(T v) {
    static_assert(std::is_arithmetic_v<T>);
    const auto* p = reinterpret_cast<const std::byte*>(&v);
    bytes_.insert(bytes_.end(), p, p + sizeof(T));
  }
  void count(size_t n) { value(static_cast<uint32_t>(n)); }
  void text(const std::string& s) {
    count(s.size());
    const auto* p = reinterpret_cast<const std::byte*>(s.data());
    bytes_.insert(bytes_.end(), p, p + s.size());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// The arrays of one network in the order they lie in its kWeights section.
class WeightLayout {
 public:
  /// Reserves room for `array`; returns its offset within the section.
  uint64_t place(std::span<const float> array) {
    const uint64_t offset = size_;
    arrays_.push_back(array);
    size_ = align_up(size_ + array.size_bytes());
    return offset;
  }
  [[nodiscard]] const std::vector<std::span<const float>>& arrays() const { return arrays_; }
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  std::vector<std::span<const float>> arrays_;
  uint64_t size_ = 0;
};

void encode_array(Encoder& out, std::span<const float> array, WeightLayout& weights) {
  out.value(array.empty() ? uint64_t{0} : weights.place(array));
  out.value(static_cast<uint64_t>(array.size()));
}

void encode_input(Encoder& out, const Input& input) {
  out.text(input.name);
  out.value(input.tensor);
  for (int v : {input.height, input.width}) out.value(static_cast<int32_t>(v));
  for (float v : {input.pixel_mean, input.pixel_scale, input.onnx_mean, input.onnx_scale})
    out.value(v);
}

void encode_op(Encoder& out, const Op& op, WeightLayout& weights) {
  out.value(static_cast<uint32_t>(op.kind));
  out.text(op.name);
  out.value(op.input);
  out.value(op.output);
  out.value(op.addend);
  out.value(static_cast<uint32_t>(op.addend_upsampled));
  for (int v : {op.groups, op.kernel_h, op.kernel_w, op.stride_h, op.stride_w, op.pad_top,
                op.pad_left, op.pad_bottom, op.pad_right})
    out.value(static_cast<int32_t>(v));
  out.value(static_cast<uint32_t>(op.ceil_mode));
  out.value(static_cast<uint32_t>(op.count_include_pad));
  out.value(static_cast<uint32_t>(op.activation));
  out.value(op.clip_low);
  out.value(op.clip_high);
  encode_array(out, op.weights, weights);
  out.value(static_cast<uint32_t>(op.bias_kind));
  encode_array(out, op.bias, weights);
  encode_array(out, op.slopes, weights);
}

void encode_output(Encoder& out, const Output& o) {
  out.text(o.name);
  out.value(o.tensor);
  for (int v : {o.channel_begin, o.channel_count, o.columns}) out.value(static_cast<int32_t>(v));
  out.value(static_cast<uint32_t>(o.sigmoid));
  out.value(static_cast<uint32_t>(o.batch_dim));
}

std::vector<std::byte> encode_graph(const Network& network, WeightLayout& weights) {
  Encoder out;
  out.value(static_cast<uint32_t>(network.role));
  encode_input(out, network.input);
  out.count(network.tensors.size());
  for (const Tensor& tensor : network.tensors) {
    out.text(tensor.name);
    out.value(static_cast<int32_t>(tensor.channels));
  }
  out.count(network.ops.size());
  for (const Op& op : network.ops) encode_op(out, op, weights);
  out.count(network.outputs.size());
  for (const Output& output : network.outputs) encode_output(out, output);
  out.count(network.levels.size());
  for (const DetectorLevel& l : network.levels)
    for (int v :
         {l.stride, l.anchors, l.tensor, l.score_channel, l.box_channel, l.landmark_channel})
      out.value(static_cast<int32_t>(v));
  out.value(static_cast<int32_t>(network.embedding_size));
  return out.take();
}

std::vector<std::byte> encode_provenance(const Provenance& provenance) {
  Encoder out;
  out.text(provenance.tool_version);
  out.text(provenance.licence);
  out.value(static_cast<uint32_t>(provenance.generated));
  out.count(provenance.sources.size());
  for (const Source& source : provenance.sources) {
    out.value(static_cast<uint32_t>(source.role));
    out.text(source.file_name);
    out.text(source.sha256);
  }
  return out.take();
}

/// A file under construction; removed unless commit() is reached.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target)
      : target_(target), path_(target.string() + ".partial." + std::to_string(::getpid())) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("cannot create");
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("cannot write");
      bytes = bytes.subspan(static_cast<size_t>(n));
      written_ += static_cast<size_t>(n);
    }
  }
  void pad() {
    static constexpr std::byte kZeros[pack_format::kAlignment] = {};
    write(std::span(kZeros, align_up(written_) - written_));
  }
  void commit() {
    if (::fsync(fd_) != 0) fail("cannot sync");
    if (::close(std::exchange(fd_, -1)) != 0) fail("cannot close");
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail("cannot rename to the final name");
    committed_ = true;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kIo, path_ + ": " + what + ": " + std::strerror(errno));
  }

  const std::filesystem::path target_;
  const std::string path_;
  int fd_ = -1;
  size_t written_ = 0;
  bool committed_ = false;
};

void for_each_weight_chunk(const WeightLayout& weights, const auto& visit) {
  static constexpr std::byte kZeros[pack_format::kAlignment] = {};
  for (std::span<const float> array : weights.arrays()) {
    visit(std::as_bytes(array));
    visit(std::span(kZeros, align_up(array.size_bytes()) - array.size_bytes()));
  }
}

uint32_t crc_of(const WeightLayout& weights) {
  uint32_t crc = 0;
  for_each_weight_chunk(weights, [&](auto bytes) { crc = pack_format::crc32(bytes, crc); });
  return crc;
}

/// One section's place in the table and what it holds: either bytes or weights.
struct PendingSection {
  Section entry{};
  std::vector<std::byte> bytes;
  const WeightLayout* weights = nullptr;
};

PendingSection pending(SectionKind kind, uint32_t role, std::vector<std::byte> bytes) {
  PendingSection s;
  s.entry = {static_cast<uint32_t>(kind), role, 0, bytes.size(), pack_format::crc32(bytes), 0};
  s.bytes = std::move(bytes);
  return s;
}

PendingSection pending(uint32_t role, const WeightLayout& weights) {
  PendingSection s;
  s.entry = {
      static_cast<uint32_t>(SectionKind::kWeights), role, 0, weights.size(), crc_of(weights), 0};
  s.weights = &weights;
  return s;
}

/// Gives every section its offset; returns the size of the file.
uint64_t lay_out(std::vector<PendingSection>& sections) {
  uint64_t end = sizeof(Header) + sections.size() * sizeof(Section);
  for (PendingSection& s : sections) {
    s.entry.offset = align_up(end);
    end = s.entry.offset + s.entry.size;
  }
  return end;
}

Header make_header(std::span<const Section> table, uint64_t file_size) {
  Header header{};
  std::copy(std::begin(pack_format::kMagic), std::end(pack_format::kMagic), header.magic);
  header.version = pack_format::kVersion;
  header.byte_order = pack_format::kByteOrderMark;
  header.file_size = file_size;
  header.section_count = static_cast<uint32_t>(table.size());
  header.table_crc = pack_format::crc32(std::as_bytes(table));
  header.header_crc =
      pack_format::crc32(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_crc)));
  return header;
}

}  // namespace

void write_pack(const std::filesystem::path& path, const std::vector<const Network*>& networks,
                const Provenance& provenance) {
  std::vector<WeightLayout> weights(networks.size());
  std::vector<PendingSection> sections;
  sections.push_back(pending(SectionKind::kProvenance, 0, encode_provenance(provenance)));
  for (size_t i = 0; i < networks.size(); ++i) {
    const auto role = static_cast<uint32_t>(networks[i]->role);
    validate(*networks[i], path.filename().string());
    sections.push_back(pending(SectionKind::kGraph, role, encode_graph(*networks[i], weights[i])));
    sections.push_back(pending(role, weights[i]));
  }
  const uint64_t file_size = lay_out(sections);
  std::vector<Section> table;
  table.reserve(sections.size());
  for (const PendingSection& s : sections) table.push_back(s.entry);
  const Header header = make_header(table, file_size);

  TemporaryFile file(path);
  file.write(std::as_bytes(std::span(&header, 1)));
  file.write(std::as_bytes(std::span(table)));
  for (const PendingSection& s : sections) {
    file.pad();
    file.write(s.bytes);
    if (s.weights != nullptr)
      for_each_weight_chunk(*s.weights, [&](auto bytes) { file.write(bytes); });
  }
  file.commit();
}

}  // namespace face
