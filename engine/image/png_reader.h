// SPDX-License-Identifier: MIT
// engine/image/png_reader.h - libpng with its errors caught: every call that may longjmp sits in a
// function of its own whose frame holds no C++ object.
#pragma once

#include <png.h>

#include <csetjmp>
#include <cstddef>

#include "engine/image/decoders.h"
#include "engine/image/png_stream.h"

namespace face::image {

/// One PNG being read as 8-bit RGB. Not copyable or movable: libpng keeps pointers into it.
class PngReader {
 public:
  /// `memory` bounds what libpng and zlib allocate together, `max_data`: see open_png_stream().
  /// No step goes on for long after `deadline`. Throws std::bad_alloc.
  PngReader(Bytes bytes, size_t memory, size_t max_data, Deadline deadline)
      : stream_(open_png_stream(bytes, max_data)), memory_left_(memory), deadline_(deadline) {}
  ~PngReader();
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // Each step returns false on failure; then message() says why, and only the destructor may
  // follow.

  /// Reads up to the picture data. `max_side` and `max_chunk` are the library's own limits.
  bool start(int max_side, size_t max_chunk);
  /// Reads the next row of the pass; later passes add their pixels to what the row holds.
  bool read(uint8_t* row);
  /// Reads to IEND and checks the last checksums.
  bool finish();

  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] int passes() const { return passes_; }  // 7 if interlaced, else 1
  [[nodiscard]] bool out_of_memory() const { return out_of_memory_; }
  [[nodiscard]] const char* message() const { return text_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp text);
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, size_t count);
  static png_voidp on_malloc(png_structp png, size_t bytes);
  static void on_free(png_structp png, png_voidp pointer);
  void convert_to_rgb();

  std::unique_ptr<PngStream> stream_;
  size_t memory_left_;
  Deadline deadline_;
  int width_ = 0, height_ = 0, passes_ = 1;
  bool out_of_memory_ = false;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_{};
  char text_[96] = "";
};

}  // namespace face::image
