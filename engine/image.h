// SPDX-License-Identifier: MIT
// engine/image.h - bytes of an upload to RGB pixels: the only door to a picture decoder.
//
// Three steps, so that nothing large is allocated for a file that will be refused: probe_image()
// reads headers without a library, MemoryBudget hands out a ticket for what decoding will take,
// decode_image() decodes and turns the picture upright.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/image_target.h"
#include "kernels/math/types.h"

namespace face {

struct ImageLimits {
  size_t max_bytes = size_t{16} << 20;
  uint64_t max_pixels = 50'000'000;
  uint64_t max_progressive_pixels = 25'000'000;  // coefficients stay in memory
  int max_side = 32'768;
  int max_scans = 100;
  int max_warnings = 1'000;
  size_t max_png_chunk = size_t{1} << 20;  // ancillary chunks
  int max_png_chunks = 32'768;
  std::chrono::milliseconds deadline{2'000};
};

enum class ImageFormat { kJpeg, kPng, kWebp, kBmp };
[[nodiscard]] const char* to_string(ImageFormat format);

/// What the headers say.
struct ImageInfo {
  ImageFormat format = ImageFormat::kJpeg;
  int width = 0, height = 0;  // as stored, before the orientation is applied
  int orientation = 1;        // EXIF 1..8
  bool progressive = false;   // JPEG: all scans before the first row; PNG: interlaced
  size_t decode_bytes = 0;    // upper bound of what decode_image() allocates: the ticket to take
};

/// Reads headers only; allocates nothing that depends on them.
/// Errors: kBadImage - empty, not a picture, broken header; kUnsupportedFormat - names the format
/// (GIF, TIFF, HEIC, ...); kTooLarge - names the limit and the value found.
[[nodiscard]] ImageInfo probe_image(std::span<const uint8_t> bytes, const ImageLimits& limits);

/// An owned picture: RGB, rows tightly packed, or planes as a JPEG has them. Move-only.
class Image {
 public:
  Image() = default;
  /// Uninitialised RGB. Throws Error(kBusy) if memory is short.
  Image(int width, int height, std::shared_ptr<PixelMemory> memory = nullptr);
  /// Uninitialised planes of a picture of info's size and orientation. Errors as above.
  [[nodiscard]] static Image planes(const ImageInfo& info, std::shared_ptr<PixelMemory> memory);
  Image(Image&&) noexcept = default;
  Image& operator=(Image&&) noexcept = default;

  [[nodiscard]] int width() const { return width_; }  // upright
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] uint8_t* data() { return pixels_.get(); }
  [[nodiscard]] const uint8_t* data() const { return pixels_.get(); }
  [[nodiscard]] uint8_t* row(int y) { return pixels_.get() + stride_ * y; }
  [[nodiscard]] size_t size_bytes() const { return bytes_; }
  [[nodiscard]] ImageView view() const {
    return {data(), width_, height_, stride_, format_, orientation_};
  }

 private:
  struct Release {
    std::shared_ptr<PixelMemory> memory;  // null: the heap
    void operator()(uint8_t* pixels) const noexcept;
  };
  void allocate(std::shared_ptr<PixelMemory> memory);

  int width_ = 0, height_ = 0;
  size_t stride_ = 0, bytes_ = 0;
  PixelFormat format_ = PixelFormat::kRgb;
  uint8_t orientation_ = 1;
  std::unique_ptr<uint8_t[], Release> pixels_;
};

/// The upright picture: orientation applied, alpha dropped, grey and 16-bit converted. For
/// `target.planes`, a JPEG of 4:2:0 stays planes, unless those would be larger. `target.memory` is
/// used where rows are written in order: JPEG, PNG that is not interlaced.
/// REQUIRES: `info` is probe_image(bytes, limits).
/// Errors: kBadImage - truncated or broken (message says where); kTooLarge - scans, warnings or
/// time over the limits; kBusy - out of memory.
[[nodiscard]] Image decode_image(std::span<const uint8_t> bytes, const ImageInfo& info,
                                 const ImageLimits& limits, const ImageTarget& target = {});

/// A fixed amount of memory that decoders share. Threads: all members are safe.
class MemoryBudget {
 public:
  /// Returns its bytes when destroyed. Move-only; an empty ticket holds nothing.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(MemoryBudget* budget, size_t bytes) : budget_(budget), bytes_(bytes) {}
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket() { release(); }
    void release() noexcept;
    /// Gives back all but `bytes`, once decoding is done and only the pixels remain.
    void shrink(size_t bytes) noexcept;

   private:
    MemoryBudget* budget_ = nullptr;
    size_t bytes_ = 0;
  };

  explicit MemoryBudget(size_t bytes) : total_(bytes), free_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;
  /// Waits for `bytes` until `deadline`, behind those who asked before: a large picture is not
  /// overtaken by small ones for ever. Never allocates. Errors: kBusy - none came free; kTooLarge -
  /// more than the whole budget.
  [[nodiscard]] Ticket acquire(size_t bytes, std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] size_t free_bytes() const;
  [[nodiscard]] size_t total_bytes() const { return total_; }

 private:
  struct Waiter {  // on the stack of the thread that waits
    Waiter* next = nullptr;
  };
  void give_back(size_t bytes) noexcept;
  void leave(Waiter& waiter) noexcept;  // REQUIRES: mutex_ is held

  const size_t total_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t free_;
  Waiter* first_ = nullptr;  // oldest waiter
  Waiter** last_ = &first_;  // where the next one is linked
};

}  // namespace face
