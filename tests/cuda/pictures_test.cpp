// SPDX-License-Identifier: MIT
// The way of pictures to an emulated GPU: pinned memory to decode into, uploads from anywhere.
#include <gmock/gmock.h>

#include <random>
#include <set>
#include <thread>

#include "engine/cuda/image_uploader.h"
#include "engine/cuda/picture_memory.h"
#include "engine/image.h"
#include "kernels/math/ycc420.h"
#include "tests/cuda/emulated.h"

namespace face::cuda {
namespace {

constexpr size_t kPage = 64 << 10;

class Pictures : public Emulated {
 protected:
  /// Bytes on the device after everything has arrived.
  static std::vector<uint8_t> uploaded(const ImageView& image, size_t bytes) {
    EXPECT_EQ(fault(), "no error");
    return {image.data, image.data + bytes};
  }
  static std::vector<uint8_t> noise(size_t bytes) {
    std::mt19937 generator(5);
    std::vector<uint8_t> values(bytes);
    for (uint8_t& v : values) v = static_cast<uint8_t>(generator());
    return values;
  }
};

TEST_F(Pictures, MemoryIsHandedOutWhereItFitsAndComesBack) {
  PictureMemory memory(4 * kPage);
  uint8_t* a = memory.allocate(kPage + 1);
  uint8_t* b = memory.allocate(1);
  EXPECT_EQ(b, a + 2 * kPage);
  uint8_t* c = memory.allocate(kPage);
  EXPECT_EQ(c, a + 3 * kPage);
  EXPECT_EQ(memory.allocate(1), nullptr) << "full";
  memory.free(b);
  EXPECT_EQ(memory.allocate(kPage + 1), nullptr) << "no two pages side by side";
  EXPECT_EQ(memory.allocate(7), b);
  memory.free(a);
  EXPECT_EQ(memory.allocate(2 * kPage), a);
  EXPECT_EQ(memory.allocate(0), nullptr);
  EXPECT_EQ(memory.allocate(5 * kPage), nullptr);
  EXPECT_EQ(PictureMemory(0).allocate(1), nullptr);
}

TEST_F(Pictures, ThreadsNeverShareAPage) {
  PictureMemory memory(16 * kPage);
  std::vector<std::thread> threads;
  std::atomic<int> mixed{0}, got{0};
  for (uint8_t t = 1; t <= 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 generator(t);
      for (int i = 0; i < 300; ++i) {
        const size_t bytes = 1 + generator() % (6 * kPage);
        uint8_t* p = memory.allocate(bytes);
        if (p == nullptr) continue;
        ++got;
        p[0] = p[bytes - 1] = t;
        std::this_thread::yield();
        if (p[0] != t || p[bytes - 1] != t) ++mixed;
        memory.free(p);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_GE(got, 300);
}

TEST_F(Pictures, UploadsOfEveryKindArriveAsTheyAre) {
  const auto memory = std::make_shared<PictureMemory>(64 * kPage);
  ImageUploader uploader(16 << 20);
  const Stream stream = make_stream();
  const ImageInfo info{.width = 1100, .height = 900, .orientation = 6};
  for (const bool pinned : {false, true}) {
    uploader.clear();
    Image rgb(1000, 1100, pinned ? memory : nullptr);  // more than a piece
    Image planes = Image::planes(info, pinned ? memory : nullptr);
    const std::vector<uint8_t> bytes = noise(rgb.size_bytes());
    std::copy_n(bytes.begin(), rgb.size_bytes(), rgb.data());
    std::copy_n(bytes.begin(), planes.size_bytes(), planes.data());
    const ImageView a = uploader.add(rgb.view(), stream.get());
    const ImageView b = uploader.add(planes.view(), stream.get());
    EXPECT_TRUE(uploaded(a, rgb.size_bytes()) == bytes);
    EXPECT_TRUE(std::equal(b.data, b.data + planes.size_bytes(), bytes.begin()));
    EXPECT_EQ(b.format, PixelFormat::kYcc420);
    EXPECT_EQ(b.orientation, 6);
    EXPECT_EQ(b.width, 900);
    EXPECT_EQ(b.stride, ycc420_padded(1100));
    EXPECT_EQ(ImageUploader::bytes_of(planes.view()) / 256, (planes.size_bytes() + 255) / 256);
  }
  const std::vector<uint8_t> bytes = noise(size_t(40) * 100);
  const ImageView strided{bytes.data(), 30, 40, 100};
  const ImageView c = uploader.add(strided, stream.get());
  const std::vector<uint8_t> packed = uploaded(c, size_t(40) * 90);
  for (int y = 0; y < 40; ++y)
    EXPECT_TRUE(std::equal(packed.begin() + y * 90, packed.begin() + (y + 1) * 90,
                           bytes.begin() + y * 100));
}

TEST_F(Pictures, PinnedOnesAreNotCopiedOnTheWay) {
  const auto memory = std::make_shared<PictureMemory>(4 * kPage);
  ImageUploader uploader(1 << 20);
  const Stream stream = make_stream();
  for (const bool pinned : {false, true}) {
    uploader.clear();
    Image image(20, 10, pinned ? memory : nullptr);
    std::fill_n(image.data(), image.size_bytes(), uint8_t{1});
    const ImageView there = uploader.add(image.view(), stream.get());
    image.data()[0] = 2;  // before the stream gets to its copy
    EXPECT_EQ(uploaded(there, 1)[0], pinned ? 2 : 1);
  }
}

}  // namespace
}  // namespace face::cuda
