// SPDX-License-Identifier: MIT
// Letterbox, alignment, decoding and suppression, on the emulator and on GPUs, against their CPU
// twins.
#include "kernels/cuda/pixels.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "kernels/cpu/align.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/letterbox.h"
#include "kernels/cpu/nms.h"
#include "kernels/cuda/decode.h"
#include "kernels/math/half.h"
#include "tests/cuda/on_device.h"

namespace face::cuda {
namespace {

constexpr Normalisation kNormalisation{127.5f, 1.f / 128};

class Pixels : public OnDevice {
 protected:
  ImageView picture(int width, int height) {
    const size_t stride = size_t(width) * 3 + 5;
    std::vector<uint8_t> bytes(stride * height);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random_());
    return {device(bytes), width, height, stride};
  }
  /// Planes of noise.
  ImageView planes(int stored_width, int stored_height, uint8_t orientation) {
    std::vector<uint8_t> bytes(ycc420_bytes(stored_width, stored_height));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random_());
    const bool turned = orientation >= 5;
    return {device(bytes),
            turned ? stored_height : stored_width,
            turned ? stored_width : stored_height,
            ycc420_padded(stored_width),
            PixelFormat::kYcc420,
            orientation};
  }
  /// What planes are as RGB.
  ImageView rgb_of(const ImageView& image) {
    std::vector<uint8_t> bytes;
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x) {
        const Rgb p = rgb_at(ycc420(image), y, x);
        for (const int v : {p.r, p.g, p.b}) bytes.push_back(static_cast<uint8_t>(v));
      }
    return {device(bytes), image.width, image.height, size_t(3) * image.width};
  }
  /// Holds (size, size, 8) of T against a twin's (3, size, size), to the bit.
  static void expect_same(const void* found, const std::vector<float>& twin, int size,
                          ElementType type) {
    int shown = 0;
    for (int pixel = 0; pixel < size * size; ++pixel)
      for (int c = 0; c < 8; ++c) {
        const size_t i = size_t(pixel) * 8 + c;
        const float want = c < 3 ? twin[c * size * size + pixel] : 0.f;
        const bool same = type == ElementType::kHalf
                              ? static_cast<const uint16_t*>(found)[i] == half_from_float(want)
                              : static_cast<const float*>(found)[i] == want;
        if (!same && ++shown < 4) ADD_FAILURE() << "pixel " << pixel << " channel " << c;
      }
  }
  std::mt19937 random_{99};
};

TEST_F(Pixels, LetterboxOfManySizesIsTheTwinToTheBit) {
  constexpr int kSize = 64;
  const std::vector<ImageView> pictures{picture(64, 64), picture(1, 1),    picture(200, 3),
                                        picture(3, 200), picture(129, 77), picture(31, 47),
                                        picture(1, 900)};
  std::vector<LetterboxImage> images;
  for (const ImageView& p : pictures)
    images.push_back({p, fit_letterbox(p.height, p.width, kSize)});
  const size_t square = size_t(kSize) * kSize;
  for (const auto type : {ElementType::kFloat, ElementType::kHalf}) {
    float* out = poisoned<float>(images.size() * square * 8);
    ASSERT_EQ(letterbox(device(images), static_cast<int>(images.size()), kSize, kNormalisation, out,
                        type, nullptr),
              cudaSuccess);
    ASSERT_EQ(fault(), "no error");
    cpu::Letterbox twin(kSize);
    for (size_t i = 0; i < images.size(); ++i) {
      SCOPED_TRACE(i);
      std::vector<float> want(3 * square);
      twin.run(pictures[i], kNormalisation, {want.data(), kSize, kSize});
      const size_t bytes = i * square * 8 * (type == ElementType::kHalf ? 2 : 4);
      expect_same(reinterpret_cast<const char*>(out) + bytes, want, kSize, type);
    }
  }
}

TEST_F(Pixels, AlignedFacesAreTheTwinToTheBit) {
  constexpr int kSize = 112;
  const ImageView a = picture(150, 120), b = picture(9, 9);
  const std::vector<AlignFace> faces{
      {a, {{50, 40}, {90, 42}, {70, 60}, {52, 85}, {88, 84}}},
      {a, {{-30, -20}, {10, -25}, {-5, 5}, {-25, 20}, {8, 22}}},  // partly outside
      {b, {{1, 2}, {6, 1}, {4, 4}, {2, 7}, {6, 7}}},
      {a, {{5, 5}, {5, 5}, {5, 5}, {5, 5}, {5, 5}}},  // no similarity: a shift
      {a, {{NAN, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}}}};
  const size_t square = size_t(kSize) * kSize;
  for (const auto order : {Order::kSequential, Order::kRandom, Order::kReverse}) {
    set_order(order);
    uint16_t* out = poisoned<uint16_t>(faces.size() * square * 8);
    ASSERT_EQ(align(device(faces), static_cast<int>(faces.size()), kSize, kNormalisation, out,
                    ElementType::kHalf, nullptr),
              cudaSuccess);
    ASSERT_EQ(fault(), "no error");
    cpu::Align twin(kSize);
    for (size_t i = 0; i < faces.size(); ++i) {
      SCOPED_TRACE(i);
      std::vector<float> want(3 * square);
      twin.run(faces[i].image, faces[i].landmarks, kNormalisation, {want.data(), kSize, kSize});
      expect_same(out + i * square * 8, want, kSize, ElementType::kHalf);
    }
  }
}

TEST_F(Pixels, PlanesGiveThePixelsOfTheirRgb) {
  constexpr int kSize = 64;
  std::vector<LetterboxImage> images;
  std::vector<AlignFace> faces;
  std::vector<ImageView> pictures;
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const ImageView p = planes(90 + orientation, 61 + orientation / 2, orientation);
    pictures.push_back(rgb_of(p));
    images.push_back({p, fit_letterbox(p.height, p.width, kSize)});
    const auto x = static_cast<float>(orientation);
    faces.push_back({p, {{20 + x, 20}, {50, 22}, {35, 32}, {22, 45}, {48, 44 + x}}});
  }
  const size_t square = size_t(kSize) * kSize;
  uint16_t* letterboxed = poisoned<uint16_t>(images.size() * square * 8);
  uint16_t* aligned = poisoned<uint16_t>(images.size() * square * 8);
  const int count = static_cast<int>(images.size());
  ASSERT_EQ(letterbox(device(images), count, kSize, kNormalisation, letterboxed, ElementType::kHalf,
                      nullptr),
            cudaSuccess);
  ASSERT_EQ(
      align(device(faces), count, kSize, kNormalisation, aligned, ElementType::kHalf, nullptr),
      cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  cpu::Letterbox letterbox_twin(kSize);
  cpu::Align align_twin(kSize);
  for (size_t i = 0; i < images.size(); ++i) {
    SCOPED_TRACE(i + 1);
    std::vector<float> want(3 * square);
    letterbox_twin.run(pictures[i], kNormalisation, {want.data(), kSize, kSize});
    expect_same(letterboxed + i * square * 8, want, kSize, ElementType::kHalf);
    align_twin.run(pictures[i], faces[i].landmarks, kNormalisation, {want.data(), kSize, kSize});
    expect_same(aligned + i * square * 8, want, kSize, ElementType::kHalf);
  }
}

/// Heads of two input sizes for a batch, and what the twin makes of them.
class Decode : public OnDevice {
 protected:
  static constexpr int kBatch = 3, kChannels = 30;

  void SetUp() override {
    OnDevice::SetUp();
    if (ended()) return;
    p_.batch = p_.max_batch = kBatch;
    p_.nms_iou = 0.4f;
    add_level(40, 8, 0);
    add_level(20, 16, 0);
    add_level(12, 8, 1);
    p_.fit_scales = device(std::vector<float>{0.5f, 1.25f, 2.f, 0.25f, 0.625f, 1.f});
  }

  void add_level(int size, int stride, int pass) {
    HeadLevel& l = p_.levels[p_.level_count++];
    l.height = l.width = size;
    l.channels = kChannels;
    l.stride = stride;
    l.anchors = 2;
    l.box_channel = 2;
    l.landmark_channel = 10;
    l.pass = pass;
    l.first_index = p_.anchors;
    p_.anchors += static_cast<uint32_t>(size) * size * 2;
    heads_.emplace_back(size_t(kBatch) * size * size * 32);
  }

  /// Scores around `mean`; equal ones are common, so that ties show. Boxes overlap a lot.
  void fill(float mean, float spread) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (auto& head : heads_)
      for (size_t i = 0; i < head.size(); ++i) {
        const int c = static_cast<int>(i % 32);
        const float score = std::round(4 * (mean + spread * normal(random))) / 4;
        head[i] = c < 2 ? score : c < 30 ? std::abs(normal(random)) + 0.5f : 0.f;
      }
  }

  void run() {
    for (int l = 0; l < p_.level_count; ++l) p_.levels[l].data = device(heads_[l]);
    p_.keys = poisoned<uint64_t>(size_t(kBatch) * p_.anchors);
    p_.counts = poisoned<uint32_t>(kBatch);
    p_.candidates = poisoned<Detection>(size_t(kBatch) * kMaxCandidates);
    p_.faces = poisoned<Detection>(size_t(kBatch) * kMaxCandidates);
    p_.face_counts = poisoned<int>(kBatch);
    p_.status = poisoned<int>(kBatch);
    ASSERT_EQ(decode(p_, ElementType::kFloat, nullptr), cudaSuccess);
    ASSERT_EQ(fault(), "no error");
  }

  std::vector<Detection> twin(int n) {
    cpu::Candidates candidates(kMaxCandidates);
    for (int l = 0; l < p_.level_count; ++l) {
      const HeadLevel& level = p_.levels[l];
      cpu::LevelView view{heads_[l].data() + size_t(n) * level.height * level.width * 32,
                          level.height,
                          level.width,
                          32,
                          level.stride,
                          2,
                          0,
                          2,
                          10};
      EXPECT_TRUE(cpu::decode_level(view, p_.threshold, p_.fit_scales[level.pass * kBatch + n],
                                    level.first_index, candidates));
    }
    cpu::Nms nms(kMaxCandidates);
    std::vector<Detection> kept;
    nms.run(candidates.sorted(), p_.nms_iou, kept);
    return kept;
  }

  void expect_twin() {
    for (int n = 0; n < kBatch; ++n) {
      SCOPED_TRACE(n);
      const std::vector<Detection> want = twin(n);
      EXPECT_EQ(p_.status[n], 0);
      ASSERT_EQ(p_.face_counts[n], static_cast<int>(want.size()));
      for (size_t i = 0; i < want.size(); ++i) {
        Detection got = p_.faces[size_t(n) * kMaxCandidates + i];
        ASSERT_LE(std::abs(got.score - want[i].score), kExpError) << i;
        got.score = want[i].score;
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): floats alone, equal to the bit
        ASSERT_EQ(std::memcmp(&got, &want[i], sizeof(Detection)), 0) << i;
      }
    }
  }

  DecodeParams p_;
  std::vector<std::vector<float>> heads_;  // (batch, size, size, 32)
};

TEST_F(Decode, FindsWhatTheTwinFindsInEveryOrder) {
  p_.threshold = 0.5f;
  fill(-3.f, 2.f);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    set_order(seed == 0 ? Order::kReverse : Order::kRandom, seed);
    run();
    expect_twin();
  }
}

TEST_F(Decode, NothingFound) {
  p_.threshold = 0.5f;
  fill(-9.f, 0.1f);
  run();
  expect_twin();
  EXPECT_EQ(p_.face_counts[0], 0);
}

TEST_F(Decode, NoiseAtThresholdZeroKeepsTheBest) {
  p_.threshold = 0.f;
  add_level(56, 4, 1);  // more anchors than kMaxCandidates
  fill(0.f, 1.f);
  ASSERT_GT(p_.anchors, static_cast<uint32_t>(kMaxCandidates));
  run();
  expect_twin();
  EXPECT_GT(p_.face_counts[0], 50);
}

TEST_F(Decode, WhatIsNotANumberIsReportedForItsImageAlone) {
  p_.threshold = 0.5f;
  for (const float bad : {NAN, INFINITY, -INFINITY})
    for (const bool in_score : {true, false}) {
      fill(-9.f, 0.1f);
      const size_t cell = (size_t(1) * 20 * 20 + 37) * 32;  // of image 1, level 1
      heads_[1][cell] = in_score ? bad : 3.f;
      if (!in_score) heads_[1][cell + 10] = bad;
      run();
      EXPECT_EQ(p_.status[0], 0);
      EXPECT_EQ(p_.status[1], kNotFinite) << bad << in_score;
      EXPECT_EQ(p_.status[2], 0);
    }
}

TEST_F(Decode, NothingButWhatIsNotANumber) {
  fill(NAN, 0.1f);
  run();
  for (int n = 0; n < p_.batch; ++n) {
    EXPECT_EQ(p_.status[n], kNotFinite);
    EXPECT_EQ(p_.face_counts[n], 0);
  }
}

}  // namespace
}  // namespace face::cuda
