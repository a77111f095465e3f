// SPDX-License-Identifier: MIT
// engine/image/png_reader.cpp - callbacks and guarded calls.
#include "engine/image/png_reader.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace face::image {
namespace {

constexpr size_t kBlockHeader = alignof(std::max_align_t);  // holds the size of the block

}  // namespace

PngReader::~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

void PngReader::on_error(png_structp png, png_const_charp text) {
  auto& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
  const char* fault = reader.stream_->fault();
  std::snprintf(reader.text_, sizeof(reader.text_), "%s", fault != nullptr ? fault : text);
  std::longjmp(reader.jump_, 1);
}

void PngReader::on_read(png_structp png, png_bytep to, size_t count) {
  auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (reader.deadline_.passed()) png_error(png, "too slow");
  if (!reader.stream_->read(to, count)) png_error(png, "truncated");
}

png_voidp PngReader::on_malloc(png_structp png, size_t bytes) {
  auto& reader = *static_cast<PngReader*>(png_get_mem_ptr(png));
  const size_t whole = bytes + kBlockHeader;
  auto* block = whole > reader.memory_left_ ? nullptr : static_cast<uint8_t*>(std::malloc(whole));
  if (block == nullptr) {
    reader.out_of_memory_ = true;
    return nullptr;
  }
  reader.memory_left_ -= whole;
  std::memcpy(block, &whole, sizeof(whole));
  return block + kBlockHeader;
}

void PngReader::on_free(png_structp png, png_voidp pointer) {
  if (pointer == nullptr) return;
  uint8_t* block = static_cast<uint8_t*>(pointer) - kBlockHeader;
  size_t whole = 0;
  std::memcpy(&whole, block, sizeof(whole));
  static_cast<PngReader*>(png_get_mem_ptr(png))->memory_left_ += whole;
  std::free(block);
}

void PngReader::convert_to_rgb() {
  png_set_strip_16(png_);  // the high byte, as OpenCV
  png_set_palette_to_rgb(png_);
  png_set_expand_gray_1_2_4_to_8(png_);
  png_set_gray_to_rgb(png_);
  png_set_strip_alpha(png_);
}

bool PngReader::start(int max_side, size_t max_chunk) {
  if (setjmp(jump_) != 0) return false;
  png_ = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, this, on_error, on_warning, this,
                                  on_malloc, on_free);
  if (png_ != nullptr) info_ = png_create_info_struct(png_);
  if (info_ == nullptr) {
    out_of_memory_ = true;
    return false;
  }
  png_set_read_fn(png_, this, on_read);
  png_set_user_limits(png_, static_cast<png_uint_32>(max_side), static_cast<png_uint_32>(max_side));
  png_set_chunk_malloc_max(png_, max_chunk);
  // Chunks have checksums of their own; zlib's would take an eighth of a large picture's time.
  png_set_option(png_, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
  // Headers that promise too small a window are as good as others, whoever inflates.
  png_set_option(png_, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png_, info_);
  width_ = static_cast<int>(png_get_image_width(png_, info_));
  height_ = static_cast<int>(png_get_image_height(png_, info_));
  convert_to_rgb();
  passes_ = png_set_interlace_handling(png_);
  png_read_update_info(png_, info_);
  if (stream_->checks_data()) png_set_crc_action(png_, PNG_CRC_QUIET_USE, PNG_CRC_NO_CHANGE);
  if (png_get_rowbytes(png_, info_) != size_t(3) * width_) png_error(png_, "rows are not RGB");
  return true;
}

bool PngReader::read(uint8_t* row) {
  if (setjmp(jump_) != 0) return false;
  png_read_row(png_, row, nullptr);
  return true;
}

bool PngReader::finish() {
  if (setjmp(jump_) != 0) return false;
  stream_->skip_data();
  png_set_crc_action(png_, PNG_CRC_DEFAULT, PNG_CRC_NO_CHANGE);
  png_read_end(png_, nullptr);
  return true;
}

}  // namespace face::image
