// SPDX-License-Identifier: MIT
// tests/image/planes_test.cpp - pixels computed from a JPEG's planes are those of the decoder that
// gives RGB, to the bit; what has no such planes, or only larger ones, stays RGB.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/math/ycc420.h"
#include "tests/image/check.h"
#include "tests/support/shared.h"

namespace face::test {
namespace {

const ImageTarget kPlanes{.planes = true, .memory = nullptr};

bool is_planes(const Image& image) { return image.view().format == PixelFormat::kYcc420; }

Picture noise(int w, int h) {
  Picture p{w, h, std::vector<uint8_t>(size_t(3) * w * h)};
  uint32_t state = 7;
  for (uint8_t& v : p.rgb) v = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return p;
}

testing::AssertionResult same_pixels(const Image& planes, const Image& rgb) {
  if (planes.width() != rgb.width() || planes.height() != rgb.height())
    return testing::AssertionFailure() << planes.width() << " x " << planes.height();
  const Ycc420 source = ycc420(planes.view());
  const uint8_t* want = rgb.data();
  for (int y = 0; y < rgb.height(); ++y)
    for (int x = 0; x < rgb.width(); ++x, want += 3) {
      const Rgb p = rgb_at(source, y, x);
      if (p.r == want[0] && p.g == want[1] && p.b == want[2]) continue;
      return testing::AssertionFailure() << "(" << x << ", " << y << ") is " << p.r << " " << p.g
                                         << " " << p.b << ", the library gives " << int(want[0])
                                         << " " << int(want[1]) << " " << int(want[2]);
    }
  return testing::AssertionSuccess();
}

TEST(Planes, PixelsOfEverySizeAreTheLibrarysToTheBit) {
  for (const auto& [w, h] :
       {std::pair{32, 32}, {33, 31}, {47, 64}, {64, 47}, {31, 49}, {99, 100}, {640, 48}, {48, 641}})
    for (const bool progressive : {false, true})
      for (const int quality : {97, 30}) {
        const FileBytes file = encode_jpeg(
            noise(w, h), {.h = 2, .v = 2, .progressive = progressive, .quality = quality});
        const Image planes = decode_all(file, {}, kPlanes);
        ASSERT_TRUE(is_planes(planes)) << w << " x " << h;
        EXPECT_LE(planes.size_bytes(), size_t(3) * w * h);
        EXPECT_TRUE(same_pixels(planes, decode_all(file)))
            << w << " x " << h << " progressive " << progressive << " quality " << quality;
      }
}

TEST(Planes, EveryWayOfWritingAndTurning) {
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    const FileBytes exif = make_exif(orientation);
    for (const JpegOptions& options :
         {JpegOptions{.h = 2, .v = 2, .exif = exif},
          JpegOptions{.h = 2, .v = 2, .separate_scans = true, .exif = exif},
          JpegOptions{.h = 2, .v = 2, .progressive = true, .restart_rows = 1, .exif = exif}}) {
      const FileBytes file = encode_jpeg(noise(75, 50), options);
      const Image planes = decode_all(file, {}, kPlanes);
      ASSERT_TRUE(is_planes(planes));
      EXPECT_TRUE(same_pixels(planes, decode_all(file))) << "orientation " << orientation;
    }
  }
}

TEST(Planes, OthersStayRgb) {
  const Picture p = noise(48, 40);
  using Colour = JpegOptions::Colour;
  for (const FileBytes& file :
       {encode_jpeg(p, {}), encode_jpeg(p, {.h = 2}), encode_jpeg(p, {.v = 2}),
        encode_jpeg(p, {.h = 4, .v = 2}), encode_jpeg(p, {.colour = Colour::kGray}),
        encode_jpeg(p, {.colour = Colour::kRgb, .h = 2, .v = 2}),
        encode_jpeg(p, {.colour = Colour::kYcck, .h = 2, .v = 2}), encode_png(p), encode_webp(p)}) {
    const Image image = decode_all(file, {}, kPlanes), want = decode_all(file);
    ASSERT_FALSE(is_planes(image));
    ASSERT_EQ(image.size_bytes(), want.size_bytes());
    EXPECT_TRUE(std::equal(want.data(), want.data() + want.size_bytes(), image.data()));
  }
  for (const auto& [w, h] : {std::pair{1, 1}, {4, 1000}, {1000, 7}, {17, 16}}) {
    const FileBytes file = encode_jpeg(noise(w, h), {.h = 2, .v = 2});
    const Image image = decode_all(file, {}, kPlanes);
    EXPECT_EQ(is_planes(image), w == 17) << w << " x " << h;
    if (!is_planes(image)) continue;
    EXPECT_TRUE(same_pixels(image, decode_all(file)));
  }
}

TEST(Planes, RealPhotos) {
  FACE_REQUIRE_SHARED("images/yifei.jpg");
  int planes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared_dir() / "images")) {
    if (entry.path().extension() == ".png") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const FileBytes file{std::istreambuf_iterator<char>(in), {}};
    const Image image = decode_all(file, {}, kPlanes);
    if (!is_planes(image)) continue;
    ++planes;
    EXPECT_TRUE(same_pixels(image, decode_all(file))) << entry.path().filename();
  }
  EXPECT_GE(planes, 5);
}

/// Hands out one piece at a time.
class OnePiece final : public PixelMemory {
 public:
  uint8_t* allocate(size_t bytes) override {
    if (taken || bytes > piece.size()) return nullptr;
    taken = true;
    return piece.data();
  }
  void free(uint8_t* pixels) noexcept override { taken = pixels != piece.data(); }
  [[nodiscard]] size_t bytes() const override { return piece.size(); }

  std::vector<uint8_t> piece = std::vector<uint8_t>(20'000);
  bool taken = false;
};

TEST(PixelMemory, TakesPicturesWhileThereIsRoom) {
  const auto memory = std::make_shared<OnePiece>();
  const Picture p = gradient(64, 48);
  for (const bool planes : {false, true}) {
    const ImageTarget target{planes, memory};
    for (const FileBytes& file :
         {encode_jpeg(p, {.h = 2, .v = 2}), encode_jpeg(p, {.h = 2, .v = 2, .exif = make_exif(6)}),
          encode_png(p)}) {
      const Image want = decode_all(file, {}, {.planes = planes, .memory = nullptr});
      Image first = decode_all(file, {}, target);
      EXPECT_EQ(first.data(), memory->piece.data());
      const Image second = decode_all(file, {}, target);
      EXPECT_NE(second.data(), memory->piece.data()) << "the heap serves";
      EXPECT_TRUE(std::equal(want.data(), want.data() + want.size_bytes(), first.data()));
      EXPECT_TRUE(std::equal(want.data(), want.data() + want.size_bytes(), second.data()));
      first = Image();
      EXPECT_FALSE(memory->taken);
    }
  }
  const Image large = decode_all(encode_png(gradient(400, 400)), {}, {false, memory});
  EXPECT_FALSE(memory->taken);
  FileBytes cut = encode_jpeg(p, {.h = 2, .v = 2});
  cut.resize(cut.size() / 2);
  EXPECT_TRUE(fails([&] { (void)decode_all(cut, {}, {true, memory}); }, ErrorKind::kBadImage, ""));
  EXPECT_FALSE(memory->taken);
}

}  // namespace
}  // namespace face::test
