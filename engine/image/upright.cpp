// SPDX-License-Identifier: MIT
// engine/image/upright.cpp - EXIF orientations as flips of rows and turns of strips.
//
// Stored pixel (x, y) of a W x H picture goes to: 1 (x, y), 2 (W-1-x, y), 3 (W-1-x, H-1-y),
// 4 (x, H-1-y), 5 (y, x), 6 (H-1-y, x), 7 (H-1-y, W-1-x), 8 (y, W-1-x).
#include "engine/image/upright.h"

#include <algorithm>
#include <cstring>

#include "engine/error.h"

namespace face {

namespace image {
namespace {

bool turns(int orientation) { return orientation >= 5; }
bool mirrors(int orientation) { return orientation == 2 || orientation == 3; }
bool flips(int orientation) { return orientation == 3 || orientation == 4; }

void swap_pixels(uint8_t* a, uint8_t* b) {
  for (int c = 0; c < 3; ++c) std::swap(a[c], b[c]);
}

void mirror_row(uint8_t* row, int width) {
  uint8_t* last = row + size_t(3) * (width - 1);
  for (; row < last; row += 3, last -= 3) swap_pixels(row, last);
}

/// `count` stored rows from stored row `y` on, to columns of `out`, orientations 5 to 8.
void turn_strip(const uint8_t* strip, int width, int y, int count, int orientation, Image& out) {
  const bool rightmost_first = orientation == 6 || orientation == 7;
  const bool bottom_first = orientation >= 7;
  const size_t stride = size_t(3) * width;
  // The column order is reversed by reading the strip from its last row up.
  const uint8_t* first = rightmost_first ? strip + (count - 1) * stride : strip;
  const ptrdiff_t step = rightmost_first ? -ptrdiff_t(stride) : ptrdiff_t(stride);
  const int column = rightmost_first ? out.width() - y - count : y;
  for (int x = 0; x < width; ++x) {
    uint8_t* to = out.row(bottom_first ? width - 1 - x : x) + size_t(3) * column;
    const uint8_t* from = first + size_t(3) * x;
    for (int i = 0; i < count; ++i, to += 3, from += step) std::memcpy(to, from, 3);
  }
}

}  // namespace

size_t upright_extra_bytes(const ImageInfo& info) {
  return turns(info.orientation) ? size_t(3) * info.width * kStripRows : 0;
}

UprightRows::UprightRows(const ImageInfo& info, const std::shared_ptr<PixelMemory>& memory)
    : width_(info.width),
      height_(info.height),
      orientation_(info.orientation),
      image_(turns(orientation_) ? Image(height_, width_, memory)
                                 : Image(width_, height_, memory)) {
  if (!turns(orientation_)) return;
  strip_.reset(new (std::nothrow) uint8_t[upright_extra_bytes(info)]);
  if (!strip_) throw Error(ErrorKind::kBusy, "out of memory for a picture");
}

uint8_t* UprightRows::row(int y) {
  if (turns(orientation_)) return strip_.get() + size_t(3) * width_ * (y - done_);
  return image_.row(flips(orientation_) ? height_ - 1 - y : y);
}

void UprightRows::commit(int count) {
  if (turns(orientation_)) turn_strip(strip_.get(), width_, done_, count, orientation_, image_);
  if (mirrors(orientation_)) {
    for (int y = done_; y < done_ + count; ++y) mirror_row(row(y), width_);
  }
  done_ += count;
}

Image turn_upright(Image stored, int orientation) {
  const int width = stored.width(), height = stored.height();
  if (turns(orientation)) {
    Image out(height, width);
    for (int y = 0; y < height; y += kStripRows) {
      turn_strip(stored.row(y), width, y, std::min(kStripRows, height - y), orientation, out);
    }
    return out;
  }
  if (mirrors(orientation)) {
    for (int y = 0; y < height; ++y) mirror_row(stored.row(y), width);
  }
  if (flips(orientation)) {
    for (int y = 0; y < height / 2; ++y) {
      std::swap_ranges(stored.row(y), stored.row(y) + size_t(3) * width,
                       stored.row(height - 1 - y));
    }
  }
  return stored;
}

}  // namespace image
}  // namespace face
