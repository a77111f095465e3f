// SPDX-License-Identifier: MIT
// engine/image/image.cpp - memory of a decoded picture.
#include "engine/image.h"

#include <new>
#include <utility>

#include "engine/error.h"
#include "kernels/math/ycc420.h"

namespace face {

Image::Image(int width, int height, std::shared_ptr<PixelMemory> memory)
    : width_(width), height_(height), stride_(size_t(3) * width), bytes_(stride_ * height) {
  allocate(std::move(memory));
}

Image Image::planes(const ImageInfo& info, std::shared_ptr<PixelMemory> memory) {
  const bool turned = info.orientation >= 5;
  Image image;
  image.width_ = turned ? info.height : info.width;
  image.height_ = turned ? info.width : info.height;
  image.stride_ = ycc420_padded(info.width);
  image.bytes_ = ycc420_bytes(info.width, info.height);
  image.format_ = PixelFormat::kYcc420;
  image.orientation_ = static_cast<uint8_t>(info.orientation);
  image.allocate(std::move(memory));
  return image;
}

void Image::allocate(std::shared_ptr<PixelMemory> memory) {
  if (memory != nullptr) {
    if (uint8_t* pixels = memory->allocate(bytes_); pixels != nullptr) {
      pixels_ = {pixels, Release{std::move(memory)}};
      return;
    }
  }
  pixels_.reset(new (std::nothrow) uint8_t[bytes_]);
  if (!pixels_) throw Error(ErrorKind::kBusy, "out of memory for a picture");
}

void Image::Release::operator()(uint8_t* pixels) const noexcept {
  if (memory != nullptr) return memory->free(pixels);
  delete[] pixels;
}

}  // namespace face
