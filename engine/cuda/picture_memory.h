// SPDX-License-Identifier: MIT
// engine/cuda/picture_memory.h - pinned memory that pictures are decoded into, so that they go to
// the device without a copy in between.
#pragma once

#include <mutex>
#include <vector>

#include "engine/cuda/raii.h"
#include "engine/image_target.h"

namespace face::cuda {

/// Allocated by the constructor alone, handed out in runs of pages, the first that fits.
/// Threads: all members are safe.
class PictureMemory final : public PixelMemory {
 public:
  explicit PictureMemory(size_t bytes);

  [[nodiscard]] uint8_t* allocate(size_t bytes) override;
  void free(uint8_t* pixels) noexcept override;
  [[nodiscard]] size_t bytes() const override { return memory_.bytes(); }

 private:
  Memory memory_;
  std::mutex mutex_;
  std::vector<size_t> taken_;  // by page: pages of the picture that begins there, else 0
};

}  // namespace face::cuda
