// SPDX-License-Identifier: MIT
// engine/image_target.h - how the device that will read a picture wants it decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace face {

/// Memory for decoded pictures that a device reads faster than the heap. Threads: all members are
/// safe.
class PixelMemory {
 public:
  virtual ~PixelMemory() = default;
  /// Null where nothing comes free at once; the heap serves then.
  [[nodiscard]] virtual uint8_t* allocate(size_t bytes) = 0;
  virtual void free(uint8_t* pixels) noexcept = 0;
  [[nodiscard]] virtual size_t bytes() const = 0;  // of all, constant
};

struct ImageTarget {
  bool planes = false;                  // a JPEG's YCbCr 4:2:0 as it is (PixelFormat::kYcc420)
  std::shared_ptr<PixelMemory> memory;  // null: the heap
};

}  // namespace face
