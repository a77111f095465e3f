// SPDX-License-Identifier: MIT
// engine/image/jpeg_reader.h - libjpeg-turbo with its errors caught: every call that may longjmp
// sits in a function of its own whose frame holds no C++ object.
#pragma once

// clang-format off
#include <cstdio>  // jpeglib.h needs size_t and FILE
#include <jpeglib.h>
// clang-format on

#include <csetjmp>
#include <string>

#include "engine/image/decoders.h"

namespace face::image {

/// One JPEG being read. Not copyable or movable: libjpeg keeps pointers into it.
class JpegReader {
 public:
  static constexpr int kPlaneRows = 16;
  enum class Failure { kNone, kBroken, kScans, kWarnings, kTime, kMemory };

  /// `memory` bounds what libjpeg keeps for a picture of several scans.
  JpegReader(Bytes bytes, const ImageLimits& limits, size_t memory);
  ~JpegReader();
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Each step returns false on failure; then failure() and message() say why, and only the
  // destructor may follow.

  /// Reads up to the first scan and chooses RGB output, or CMYK for four components; with `planes`,
  /// the planes of a picture in YCbCr 4:2:0.
  bool start(bool planes);
  /// Fills up to `count` rows, at least one; the number is added to `done`.
  bool read(uint8_t** rows, int count, int& done);
  /// Fills kPlaneRows rows of luma and half as many of Cb and Cr, each as wide as the plane.
  bool read_planes(uint8_t** luma, uint8_t** cb, uint8_t** cr);
  /// Reads to the end marker.
  bool finish();

  [[nodiscard]] int width() const { return static_cast<int>(state_.output_width); }
  [[nodiscard]] int height() const { return static_cast<int>(state_.output_height); }
  [[nodiscard]] bool is_cmyk() const { return state_.out_color_space == JCS_CMYK; }
  [[nodiscard]] bool gives_planes() const { return state_.raw_data_out != FALSE; }
  [[nodiscard]] Failure failure() const { return failure_; }
  /// The library's sentence, with the row it had reached.
  [[nodiscard]] std::string message() const;

 private:
  [[nodiscard]] bool is_ycc420() const;
  static void on_error(j_common_ptr state);
  static void on_message(j_common_ptr state, int level);
  static void on_output(j_common_ptr) {}
  static void on_progress(j_common_ptr state);
  static JpegReader& self(j_common_ptr state) {
    return *static_cast<JpegReader*>(state->client_data);
  }
  [[noreturn]] void stop(Failure failure);

  jpeg_decompress_struct state_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  Bytes bytes_;
  const ImageLimits& limits_;
  const size_t memory_;
  const Deadline deadline_;
  Failure failure_ = Failure::kNone;
  char text_[JMSG_LENGTH_MAX] = "";
};

}  // namespace face::image
