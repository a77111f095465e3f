// SPDX-License-Identifier: MIT
// tests/image/robust_test.cpp - cut files, memory that runs out, tickets that hold, deadlines.
#include <gtest/gtest.h>

#include <string_view>

#include "tests/image/check.h"
#include "tests/image/heap_meter.h"

namespace face::test {
namespace {

struct NamedFile {
  const char* name;
  FileBytes bytes;
  ImageTarget target = {};
};

/// One of each decoder's paths, at sizes where rows, strips and second buffers all matter.
std::vector<NamedFile> files(int width, int height) {
  const Picture p = gradient(width, height);
  const FileBytes turned = make_exif(6);
  std::vector<uint16_t> deep(p.rgb.begin(), p.rgb.end());
  for (uint16_t& v : deep) v = static_cast<uint16_t>(v << 8);
  return {
      {"jpeg", encode_jpeg(p, {.h = 2, .v = 2})},
      {"jpeg_progressive_turned",
       encode_jpeg(p, {.h = 2, .v = 2, .progressive = true, .exif = turned})},
      {"jpeg_planes", encode_jpeg(p, {.h = 2, .v = 2}), {.planes = true, .memory = nullptr}},
      {"jpeg_progressive_turned_planes",
       encode_jpeg(p, {.h = 2, .v = 2, .progressive = true, .exif = turned}),
       {.planes = true, .memory = nullptr}},
      {"jpeg_ycck", encode_jpeg(p, {.colour = JpegOptions::Colour::kYcck, .exif = turned})},
      {"png", encode_png(p)},
      {"png_interlaced_turned", encode_png(p, {.interlaced = true, .exif = turned})},
      {"png_16", encode_png(width, height, deep, {.depth = 16})},
      {"webp", encode_webp(p, {.exif = turned})},
      {"webp_alpha", encode_webp(p, {.alpha = true})},
      {"webp_lossless", encode_webp(p, {.lossless = true})},
      {"bmp", make_bmp({.width = width,
                        .height = height,
                        .pixels = FileBytes((size_t(3) * width + 3) / 4 * 4 * height, 77)})},
  };
}

TEST(Truncation, CutAnywhereIsRefused) {
  for (const NamedFile& file : files(48, 40)) {
    ASSERT_NO_THROW((void)decode_all(file.bytes, {}, file.target)) << file.name;
    for (size_t n = 0; n < file.bytes.size(); ++n) {
      const FileBytes cut(file.bytes.begin(), file.bytes.begin() + static_cast<ptrdiff_t>(n));
      EXPECT_TRUE(
          fails([&] { (void)decode_all(cut, {}, file.target); }, ErrorKind::kBadImage, "Invalid "))
          << file.name << " cut to " << n << " of " << file.bytes.size();
    }
  }
}

TEST(Corruption, FlippedBytesGiveAVerdict) {
  for (const NamedFile& file : files(48, 40)) {
    for (size_t n = 0; n < file.bytes.size(); ++n) {
      FileBytes changed = file.bytes;
      changed[n] = static_cast<uint8_t>(changed[n] ^ (1 + n % 255));
      try {
        (void)decode_all(changed, {}, file.target);
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::kBadImage || error.kind() == ErrorKind::kTooLarge ||
                    error.kind() == ErrorKind::kUnsupportedFormat)
            << file.name << " byte " << n << ": " << error.what();
      }
    }
  }
}

TEST(Memory, TicketCoversEverything) {
  for (const auto& [w, h] : {std::pair{1, 1}, {48, 40}, {1000, 700}, {4000, 9}, {9, 4000}}) {
    for (const NamedFile& file : files(w, h)) {
      const ImageInfo info = probe_image(file.bytes, {});
      heap_start();
      (void)decode_image(file.bytes, info, {}, file.target);
      const HeapUse use = heap_stop();
      EXPECT_LE(use.peak, static_cast<ptrdiff_t>(info.decode_bytes))
          << file.name << " " << w << " x " << h;
      EXPECT_EQ(use.live, 0) << file.name;
    }
  }
}

/// What decoding with a failing allocation came to.
enum class Outcome { kDecoded, kBusy, kOther };

Outcome decode_failing_at(const NamedFile& file, size_t n, HeapUse& use) {
  const ImageInfo info = probe_image(file.bytes, {});
  Outcome outcome = Outcome::kDecoded;
  heap_start();
  heap_fail_at(n);
  try {
    (void)decode_image(file.bytes, info, {}, file.target);
  } catch (const Error& error) {
    outcome = error.kind() == ErrorKind::kBusy ? Outcome::kBusy : Outcome::kOther;
  }
  heap_fail_at(0);
  use = heap_stop();
  return outcome;
}

// A library may try again with less and succeed; what it must not do is call the file broken.
TEST(Memory, FailedAllocationIsBusyAndLeaksNothing) {
  if (!heap_fail_at(0)) GTEST_SKIP() << "this build's allocator cannot be made to fail";
  for (const NamedFile& file : files(120, 90)) {
    // libwebp 1.2 frees a pointer it never had when some allocations of its lossless decoder fail.
    if (std::string_view(file.name) == "webp_lossless") continue;
    size_t n = 1, busy = 0;
    for (; n < 1000; ++n) {
      HeapUse use;
      const Outcome outcome = decode_failing_at(file, n, use);
      EXPECT_EQ(use.live, 0) << file.name << ": leak after failing allocation " << n;
      if (outcome == Outcome::kDecoded && use.allocations < n) break;
      EXPECT_NE(outcome, Outcome::kOther) << file.name << ": allocation " << n;
      busy += outcome == Outcome::kBusy;
    }
    EXPECT_GE(busy * 2, n - 1) << file.name;
    EXPECT_LT(n, 1000u) << file.name;
  }
}

TEST(Limits, DeadlineIsKept) {
  const ImageLimits none{.deadline = std::chrono::milliseconds(-1)};
  for (const NamedFile& file : files(100, 100)) {
    EXPECT_TRUE(fails([&] { (void)decode_all(file.bytes, none); }, ErrorKind::kTooLarge,
                      "takes longer to decode than -1 ms"))
        << file.name;
  }
}

TEST(Limits, WarningsAreCounted) {
  FileBytes file = encode_jpeg(gradient(40, 40));
  for (int i = 0; i < 3; ++i) {  // a stray byte and a comment behind the JFIF segment
    const FileBytes stray = {0x55, 0xff, 0xfe, 0, 3, 'x'};
    file.insert(file.begin() + 20, stray.begin(), stray.end());
  }
  EXPECT_NO_THROW((void)decode_all(file, {.max_warnings = 3}));
  EXPECT_TRUE(fails([&] { (void)decode_all(file, {.max_warnings = 2}); }, ErrorKind::kTooLarge,
                    "broken in more than 2 places, the limit: "));
}

}  // namespace
}  // namespace face::test
