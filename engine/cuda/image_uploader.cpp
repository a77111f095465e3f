// SPDX-License-Identifier: MIT
#include "engine/cuda/image_uploader.h"

#include <algorithm>
#include <cstring>

namespace face::cuda {
namespace {

constexpr size_t kPiece = size_t{2} << 20;

}  // namespace

ImageUploader::ImageUploader(size_t slab_bytes) : slab_(device_memory(slab_bytes)) {
  for (Piece& piece : pieces_) {
    piece.memory = pinned_memory(kPiece);
    piece.sent = make_event(false);
  }
}

size_t ImageUploader::bytes_of(const ImageView& image) {
  return (size_t(3) * image.width * image.height + 255) / 256 * 256;
}

ImageView ImageUploader::add(const ImageView& image, cudaStream_t stream) {
  const size_t row = size_t(3) * image.width, base = used_;
  used_ += bytes_of(image);
  const int rows_per_piece = static_cast<int>(std::max<size_t>(kPiece / row, 1));
  if (image.stride == row) {
    const size_t size = row * image.height;
    for (size_t at = 0; at < size; at += kPiece)
      send(image.data + at, std::min(kPiece, size - at), base + at, stream);
    return {slab_.as<uint8_t>(base), image.width, image.height, row};
  }
  for (int y = 0; y < image.height; y += rows_per_piece) {
    const int rows = std::min(rows_per_piece, image.height - y);
    Piece& piece = pieces_[next_++ % pieces_.size()];
    FACE_CUDA(cudaEventSynchronize(piece.sent.get()));
    for (int i = 0; i < rows; ++i)
      std::memcpy(piece.memory.as<uint8_t>(i * row), image.data + (y + i) * image.stride, row);
    FACE_CUDA(cudaMemcpyAsync(slab_.as<uint8_t>(base + y * row), piece.memory.as<uint8_t>(),
                              rows * row, cudaMemcpyHostToDevice, stream));
    FACE_CUDA(cudaEventRecord(piece.sent.get(), stream));
  }
  return {slab_.as<uint8_t>(base), image.width, image.height, row};
}

void ImageUploader::send(const uint8_t* from, size_t size, size_t slab_offset,
                         cudaStream_t stream) {
  Piece& piece = pieces_[next_++ % pieces_.size()];
  FACE_CUDA(cudaEventSynchronize(piece.sent.get()));
  std::memcpy(piece.memory.as<uint8_t>(), from, size);
  FACE_CUDA(cudaMemcpyAsync(slab_.as<uint8_t>(slab_offset), piece.memory.as<uint8_t>(), size,
                            cudaMemcpyHostToDevice, stream));
  FACE_CUDA(cudaEventRecord(piece.sent.get(), stream));
}

}  // namespace face::cuda
