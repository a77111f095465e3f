// SPDX-License-Identifier: MIT
#include "engine/cuda/image_uploader.h"

#include <algorithm>
#include <cstring>

#include "kernels/math/ycc420.h"

namespace face::cuda {
namespace {

constexpr size_t kPiece = size_t{2} << 20;

size_t packed_bytes(const ImageView& image) {
  if (image.format == PixelFormat::kRgb) return size_t(3) * image.width * image.height;
  const Ycc420 planes = ycc420(image);
  return ycc420_bytes(planes.stored_width, planes.stored_height);
}

bool is_pinned(const void* p) {
  cudaPointerAttributes attributes{};
  FACE_CUDA(cudaPointerGetAttributes(&attributes, p));
  return attributes.type == cudaMemoryTypeHost;
}

}  // namespace

ImageUploader::ImageUploader(size_t slab_bytes) : slab_(device_memory(slab_bytes)) {
  for (Piece& piece : pieces_) {
    piece.memory = pinned_memory(kPiece);
    piece.sent = make_event(false);
  }
}

size_t ImageUploader::bytes_of(const ImageView& image) {
  return (packed_bytes(image) + 255) / 256 * 256;
}

ImageView ImageUploader::add(const ImageView& image, cudaStream_t stream) {
  const size_t base = used_, size = packed_bytes(image);
  used_ += bytes_of(image);
  ImageView result = image;
  result.data = slab_.as<uint8_t>(base);
  if (image.format == PixelFormat::kRgb) result.stride = size_t(3) * image.width;
  if (result.stride != image.stride) {
    send_rows(image, result.stride, base, stream);
  } else if (is_pinned(image.data)) {
    FACE_CUDA(
        cudaMemcpyAsync(slab_.as<uint8_t>(base), image.data, size, cudaMemcpyHostToDevice, stream));
  } else {
    for (size_t at = 0; at < size; at += kPiece)
      send(image.data + at, std::min(kPiece, size - at), base + at, stream);
  }
  return result;
}

void ImageUploader::send_rows(const ImageView& image, size_t row, size_t slab_offset,
                              cudaStream_t stream) {
  const int rows_per_piece = static_cast<int>(std::max<size_t>(kPiece / row, 1));
  for (int y = 0; y < image.height; y += rows_per_piece) {
    const int rows = std::min(rows_per_piece, image.height - y);
    Piece& piece = pieces_[next_++ % pieces_.size()];
    FACE_CUDA(cudaEventSynchronize(piece.sent.get()));
    for (int i = 0; i < rows; ++i)
      std::memcpy(piece.memory.as<uint8_t>(i * row), image.data + (y + i) * image.stride, row);
    FACE_CUDA(cudaMemcpyAsync(slab_.as<uint8_t>(slab_offset + y * row), piece.memory.as<uint8_t>(),
                              rows * row, cudaMemcpyHostToDevice, stream));
    FACE_CUDA(cudaEventRecord(piece.sent.get(), stream));
  }
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
