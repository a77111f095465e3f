// SPDX-License-Identifier: MIT
// tests/image/png_stream_test.cpp - picture data in odd chunks, broken in every way, and with more
// behind it: the same verdicts and pixels whichever way inflates.
#include "engine/image/png_stream.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <string>

#include "tests/image/check.h"

namespace face::test {
namespace {

void put32(FileBytes& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

void put_chunk(FileBytes& out, const std::string& name, const FileBytes& body) {
  put32(out, body.size());
  const size_t begin = out.size();
  out.insert(out.end(), name.begin(), name.end());
  out.insert(out.end(), body.begin(), body.end());
  put32(out, ::crc32(0, out.data() + begin, static_cast<uInt>(out.size() - begin)));
}

FileBytes joined(FileBytes a, const FileBytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

FileBytes part_of(const FileBytes& data, size_t begin, size_t end) {
  return {data.begin() + static_cast<ptrdiff_t>(begin), data.begin() + static_cast<ptrdiff_t>(end)};
}

FileBytes compressed(const FileBytes& data, int level = 9) {
  uLongf size = ::compressBound(data.size());
  FileBytes out(size);
  EXPECT_EQ(::compress2(out.data(), &size, data.data(), data.size(), level), Z_OK);
  out.resize(size);
  return out;
}

/// A grey picture.
class Grey {
 public:
  Grey(size_t width, size_t height) : width_(width), height_(height) {
    for (size_t y = 0; y < height; ++y) {
      rows_.push_back(0);  // filter
      for (size_t x = 0; x < width; ++x) rows_.push_back(static_cast<uint8_t>(x * y / 40 + x % 7));
    }
  }
  [[nodiscard]] const FileBytes& rows() const { return rows_; }
  /// A PNG of its size whose IDAT chunks hold `parts`.
  [[nodiscard]] FileBytes png(const std::vector<FileBytes>& parts) const {
    FileBytes out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, header;
    put32(header, width_);
    put32(header, height_);
    put_chunk(out, "IHDR", joined(header, {8, 0, 0, 0, 0}));
    for (const FileBytes& part : parts) put_chunk(out, "IDAT", part);
    put_chunk(out, "IEND", {});
    return out;
  }
  [[nodiscard]] bool is(const Image& image) const {
    bool same = image.size_bytes() == 3 * width_ * height_;
    for (size_t y = 0; same && y < height_; ++y)
      for (size_t i = 0; i < 3 * width_; ++i)
        same = same && image.data()[3 * width_ * y + i] == rows_[y * (width_ + 1) + 1 + i / 3];
    return same;
  }

 private:
  size_t width_, height_;
  FileBytes rows_;
};
const Grey kSmall(5, 6), kLarge(300, 300);  // a block and a read of it, several

bool shows(const Grey& grey, const std::vector<FileBytes>& parts) {
  return grey.is(decode_all(grey.png(parts)));
}

testing::AssertionResult refused(const std::vector<FileBytes>& parts, const std::string& why) {
  return fails([&] { (void)decode_all(kSmall.png(parts)); }, ErrorKind::kBadImage, why);
}

/// Some are empty.
std::vector<FileBytes> chunks_of(size_t size, const FileBytes& stream) {
  std::vector<FileBytes> parts = {{}};
  for (size_t at = 0; at < stream.size(); at += size) {
    parts.push_back(part_of(stream, at, std::min(at + size, stream.size())));
    if (at < 3) parts.emplace_back();
  }
  return parts;
}

TEST(PngStream, ChunksMayBeOfAnySize) {
  for (int level : {0, 1, 9}) {
    const FileBytes stream = compressed(kSmall.rows(), level);
    for (size_t size = 1; size <= stream.size(); ++size) {
      EXPECT_TRUE(shows(kSmall, chunks_of(size, stream)))
          << "level " << level << ", chunks of " << size;
    }
  }
}

TEST(PngStream, ChunksMayEndAnywhere) {
  for (int level : {1, 9}) {
    const FileBytes stream = compressed(kLarge.rows(), level);
    for (size_t at = 0; at <= stream.size(); at += at < 300 || at + 20 > stream.size() ? 1 : 997)
      EXPECT_TRUE(shows(kLarge, {part_of(stream, 0, at), part_of(stream, at, stream.size())}))
          << "level " << level << ", byte " << at << " of " << stream.size();
  }
}

TEST(PngStream, EveryChecksumCounts) {
  const FileBytes stream = compressed(kSmall.rows());
  const size_t half = stream.size() / 2;
  std::vector<FileBytes> parts = {part_of(stream, 0, half), part_of(stream, half, stream.size())};
  for (int i = 0; i < 3; ++i) parts.emplace_back(20, uint8_t{9});  // behind the stream
  const FileBytes file = kSmall.png(parts);
  EXPECT_TRUE(kSmall.is(decode_all(file)));
  size_t at = 33;  // behind the header
  for (const FileBytes& part : parts) {
    at += 12 + part.size();
    FileBytes wrong = file;
    wrong[at - 1] ^= 1;
    EXPECT_TRUE(fails([&] { (void)decode_all(wrong); }, ErrorKind::kBadImage, "IDAT: CRC error"))
        << at;
  }
}

TEST(PngStream, CutAnywhereIsTooLittle) {
  for (int level : {0, 9}) {
    const FileBytes stream = compressed(kSmall.rows(), level);
    EXPECT_TRUE(shows(kSmall, {stream}));
    for (size_t n = 1; n < stream.size(); ++n)
      EXPECT_TRUE(refused({part_of(stream, 0, n)}, "")) << "level " << level << ", bytes " << n;
  }
  FileBytes rows = kSmall.rows();
  rows.pop_back();
  EXPECT_TRUE(refused({compressed(rows)}, "Not enough image data"));
  EXPECT_TRUE(refused({FileBytes{}}, ""));
}

/// Bytes of bits, first bit lowest.
FileBytes packed(const std::string& bits) {
  FileBytes bytes((bits.size() + 7) / 8);
  for (size_t i = 0; i < bits.size(); ++i)
    if (bits[i] == '1') bytes[i / 8] = static_cast<uint8_t>(bytes[i / 8] | 1 << i % 8);
  return bytes;
}

struct BrokenCase {
  const char* name;
  FileBytes stream;
};
TEST(PngStream, BrokenDataIsRefused) {
  const FileBytes whole = compressed(kSmall.rows()), deflated = part_of(whole, 2, whole.size());
  std::string zeros;
  for (int i = 0; i < 7; ++i) zeros += "00110000";  // in fixed codes
  const FileBytes too_far =
      joined(packed("110" + zeros + "11000101" + "11101" + std::string(13, '1')), FileBytes(100));
  const BrokenCase cases[] = {
      {"no zlib header", deflated},
      {"method 7", joined({0x77, 0x85}, deflated)},
      {"window of 64 kB", joined({0x88, 0x1c}, deflated)},
      {"header's check wrong", joined({0x78, 0x9d}, deflated)},
      {"with a dictionary", joined({0x78, 0xbb}, deflated)},
      {"no type of block", {0x78, 0x9c, 7, 0, 0, 0, 0, 0}},
      {"stored length wrong", {0x78, 0x9c, 1, 2, 0, 0, 0, 1, 2}},
      {"distance 1 at the start", {0x78, 0x9c, 3, 2, 0, 0, 0, 0, 0}},
      {"distance 32768 behind 7 bytes", joined({0x78, 0x9c}, too_far)},
      {"287 literal codes", {0x78, 0x9c, 0xf5, 0, 0, 0, 0, 0, 0}},
  };
  for (const BrokenCase& each : cases) {
    EXPECT_TRUE(refused({each.stream}, "IDAT: ")) << each.name;
    EXPECT_TRUE(refused({part_of(each.stream, 0, 1), part_of(each.stream, 1, each.stream.size())},
                        "IDAT: "))
        << each.name;
  }
}

TEST(PngStream, HeaderMayPromiseTooSmallAWindow) {
  const FileBytes whole = compressed(kLarge.rows());
  EXPECT_TRUE(shows(kLarge, {joined({0x08, 0x1d}, part_of(whole, 2, whole.size()))}));
}

FileBytes with_zeros(FileBytes rows, size_t zeros) {
  rows.resize(rows.size() + zeros);
  return rows;
}

TEST(PngStream, WhatFollowsTheRowsMayBeAnything) {
  const FileBytes& rows = kSmall.rows();
  EXPECT_TRUE(shows(kSmall, {joined(compressed(rows), {7, 7, 7, 7, 7, 7, 7, 7, 7})}));
  EXPECT_TRUE(shows(kSmall, {compressed(with_zeros(rows, 100'000))}));
  const auto size = static_cast<uint8_t>(rows.size());
  FileBytes stored = joined({0x78, 1, 0, size, 0, static_cast<uint8_t>(~size), 0xff}, rows);
  for (int i = 0; i < 50; ++i) stored = joined(stored, {0, 0, 0, 0xff, 0xff});  // empty blocks
  for (size_t chunk : {1, 2, 3, 5, 6, 100})
    EXPECT_TRUE(shows(kSmall, chunks_of(chunk, joined(stored, {1, 0, 0, 0xff, 0xff, 1, 2, 3, 4}))));
}

// Behind the last row libpng would inflate whatever comes, to throw it away.
TEST(PngStream, DataThatNoRowNeedsIsNotInflated) {
  const FileBytes file = kSmall.png({compressed(with_zeros(kSmall.rows(), 10'000'000))});
  constexpr size_t kMost = 100;
  const auto stream = image::open_png_stream(file, kMost);
  size_t read = 0;
  for (uint8_t byte = 0; stream->read(&byte, 1);) ++read;
  EXPECT_LE(read, file.size() + kMost);
}

}  // namespace
}  // namespace face::test
