// SPDX-License-Identifier: MIT
// engine/image/decoders.h - one decoder per format, called by decode_image().
//
// REQUIRES (all): `info` is the format's probe of these bytes with these limits.
// Errors (all): as decode_image(). Threads: no shared state.
#pragma once

#include <chrono>

#include "engine/image.h"
#include "engine/image/bytes.h"

namespace face::image {

/// The moment when a decoder has to give up. Monotonic.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds left)
      : end_(std::chrono::steady_clock::now() + left) {}
  [[nodiscard]] bool passed() const { return std::chrono::steady_clock::now() >= end_; }

 private:
  std::chrono::steady_clock::time_point end_;
};

[[nodiscard]] Image decode_jpeg(Bytes bytes, const ImageInfo& info, const ImageLimits& limits,
                                const ImageTarget& target);
[[nodiscard]] Image decode_png(Bytes bytes, const ImageInfo& info, const ImageLimits& limits,
                               const ImageTarget& target);
[[nodiscard]] Image decode_webp(Bytes bytes, const ImageInfo& info, const ImageLimits& limits);
[[nodiscard]] Image decode_bmp(Bytes bytes, const ImageInfo& info, const ImageLimits& limits);

/// The error of a decoder that ran into limits.deadline.
[[noreturn]] void too_slow(const ImageInfo& info, const ImageLimits& limits);

}  // namespace face::image
