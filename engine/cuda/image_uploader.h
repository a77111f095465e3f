// SPDX-License-Identifier: MIT
// engine/cuda/image_uploader.h - pictures from anywhere in host memory to one slab on the device.
#pragma once

#include <array>

#include "engine/cuda/raii.h"
#include "kernels/math/types.h"

namespace face::cuda {

/// Pictures in pinned memory (PictureMemory) are sent from there; others go through two pinned
/// pieces, so that filling one overlaps with sending the other. Memory is allocated by the
/// constructor alone. Threads: one at a time.
class ImageUploader {
 public:
  explicit ImageUploader(size_t slab_bytes);

  /// Bytes that a picture takes in the slab.
  [[nodiscard]] static size_t bytes_of(const ImageView& image);
  [[nodiscard]] size_t capacity() const { return slab_.bytes(); }
  [[nodiscard]] size_t memory_bytes() const { return slab_.bytes(); }

  void clear() { used_ = 0; }
  /// The picture on the device, rows of RGB packed, once `stream` gets there.
  /// REQUIRES: bytes_of(image) are free; the last clear() came after work that reads the slab; what
  /// is pinned stays as it is until `stream` is done.
  [[nodiscard]] ImageView add(const ImageView& image, cudaStream_t stream);

 private:
  struct Piece {
    Memory memory;
    Event sent;
  };
  void send_rows(const ImageView& image, size_t row, size_t slab_offset, cudaStream_t stream);
  void send(const uint8_t* from, size_t size, size_t slab_offset, cudaStream_t stream);

  Memory slab_;
  size_t used_ = 0;
  std::array<Piece, 2> pieces_;
  size_t next_ = 0;
};

}  // namespace face::cuda
