// SPDX-License-Identifier: MIT
// engine/pack_format.h - the bytes of a weight file, as weights_tool/FORMAT.md describes them.
// Shared by pack_reader.cpp and pack_writer.cpp; nobody else looks at bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace face::pack_format {

constexpr char kMagic[8] = {'F', 'A', 'C', 'E', 'P', 'A', 'C', 'K'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kByteOrderMark = 0x01020304;  // read back as such on a machine of like order
constexpr size_t kAlignment = 64;                // of sections, and of each array in kWeights
constexpr uint32_t kMaxSections = 5;

enum class SectionKind : uint32_t { kProvenance = 1, kGraph = 2, kWeights = 3 };

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t byte_order;
  uint64_t file_size;
  uint32_t section_count;
  uint32_t table_crc;
  uint8_t reserved[28];  // zero
  uint32_t header_crc;   // of the bytes before it
};
static_assert(sizeof(Header) == 64 && std::is_trivially_copyable_v<Header>);

struct Section {
  uint32_t kind;
  uint32_t role;  // NetworkRole, 0 for kProvenance
  uint64_t offset;
  uint64_t size;
  uint32_t crc;
  uint32_t reserved;  // zero
};
static_assert(sizeof(Section) == 32 && std::is_trivially_copyable_v<Section>);

constexpr size_t align_up(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

/// CRC-32 as in zlib, PNG and Ethernet (polynomial 0xEDB88320), continued from `crc`.
[[nodiscard]] uint32_t crc32(std::span<const std::byte> bytes, uint32_t crc = 0);

}  // namespace face::pack_format
