// SPDX-License-Identifier: MIT
// engine/image/png_stream.h - where libpng's bytes come from. Two ways, CMake builds one of them:
//
// png_stream_plain.cpp  the file as it is. libpng inflates by zlib, which copies a match byte by
//                       byte, each waiting for the one before: long for pictures of few colours.
// png_stream_isal.cpp   ISA-L inflates. libpng takes no data that is inflated already, so it is
//                       given a PNG that says the same in stored blocks, which zlib just copies.
#pragma once

#include <memory>

#include "engine/image/bytes.h"

namespace face::image {

/// The bytes of one PNG from first to last.
class PngStream {
 public:
  PngStream() = default;
  PngStream(const PngStream&) = delete;
  PngStream& operator=(const PngStream&) = delete;
  virtual ~PngStream() = default;

  /// The next `count` bytes; false if there are fewer, or at a fault(). What it inflates takes
  /// milliseconds for each chunk or 64 kB that it gives.
  [[nodiscard]] virtual bool read(uint8_t* to, size_t count) = 0;
  /// What is wrong with the picture data that was read; null if nothing, or if libpng finds out.
  [[nodiscard]] virtual const char* fault() const = 0;
  /// Whether read() checks the checksums of the file's IDAT chunks. Those it gives carry none then,
  /// nor does their zlib stream.
  [[nodiscard]] virtual bool checks_data() const = 0;
  /// May leave out IDAT chunks that were not read. REQUIRES: one was, and just as far as its end.
  virtual void skip_data() = 0;
};

/// No more than about `max_data` bytes of picture data are inflated here, as if they were broken
/// from there on: what no row needs must not take time.
/// REQUIRES: probe_png() took the file, which outlives the stream. Throws std::bad_alloc.
[[nodiscard]] std::unique_ptr<PngStream> open_png_stream(Bytes file, size_t max_data);

}  // namespace face::image
