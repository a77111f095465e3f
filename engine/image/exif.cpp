// SPDX-License-Identifier: MIT
// engine/image/exif.cpp - TIFF header and first directory.
#include "engine/image/exif.h"

#include <algorithm>

namespace face::image {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShort = 3, kLong = 4;
constexpr uint32_t kMaxEntries = 200;
constexpr size_t kEntryBytes = 12;

}  // namespace

int exif_orientation(Bytes tiff) {
  const bool little = has_at(tiff, 0, {"II*\0", 4});
  if (tiff.size() < 8 || (!little && !has_at(tiff, 0, {"MM\0*", 4}))) return 1;
  const auto u16 = [&](size_t at) { return little ? le16(tiff, at) : be16(tiff, at); };
  const auto u32 = [&](size_t at) { return little ? le32(tiff, at) : be32(tiff, at); };

  const size_t directory = u32(4);
  if (directory > tiff.size() - 2) return 1;
  const size_t room = (tiff.size() - directory - 2) / kEntryBytes;
  const size_t count = std::min<size_t>({u16(directory), room, kMaxEntries});
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (u16(entry) != kOrientationTag) continue;
    const uint32_t type = u16(entry + 2);
    // As many values as fit into the entry itself: what more there are, the first one counts.
    const uint32_t count_here = u32(entry + 4), room_here = type == kShort ? 2 : 1;
    if ((type != kShort && type != kLong) || count_here < 1 || count_here > room_here) return 1;
    const uint32_t value = type == kShort ? u16(entry + 8) : u32(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Bytes strip_exif_prefix(Bytes payload) {
  return has_at(payload, 0, {"Exif\0\0", 6}) ? payload.subspan(6) : payload;
}

}  // namespace face::image
