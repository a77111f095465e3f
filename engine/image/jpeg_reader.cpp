// SPDX-License-Identifier: MIT
// engine/image/jpeg_reader.cpp - callbacks and guarded calls.
#include "engine/image/jpeg_reader.h"

#include <jerror.h>

#include <algorithm>

#include "kernels/math/ycc420.h"

namespace face::image {

JpegReader::JpegReader(Bytes bytes, const ImageLimits& limits, size_t memory)
    : bytes_(bytes), limits_(limits), memory_(memory), deadline_(limits.deadline) {
  state_.err = jpeg_std_error(&errors_);
  state_.client_data = this;
  errors_.error_exit = on_error;
  errors_.emit_message = on_message;
  errors_.output_message = on_output;
  progress_.progress_monitor = on_progress;
}

JpegReader::~JpegReader() { jpeg_destroy_decompress(&state_); }

void JpegReader::stop(Failure failure) {
  failure_ = failure;
  if (failure != Failure::kMemory)
    (*errors_.format_message)(reinterpret_cast<j_common_ptr>(&state_), text_);
  std::longjmp(jump_, 1);
}

void JpegReader::on_error(j_common_ptr state) {
  const bool memory = state->err->msg_code == JERR_OUT_OF_MEMORY;
  self(state).stop(memory ? Failure::kMemory : Failure::kBroken);
}

void JpegReader::on_message(j_common_ptr state, int level) {
  if (level >= 0) return;  // traces
  jpeg_error_mgr& errors = *state->err;
  // Data is missing: what follows would be grey. Bytes too many are harmless, cameras write them.
  if (errors.msg_code == JWRN_JPEG_EOF || errors.msg_code == JWRN_HIT_MARKER) {
    self(state).stop(Failure::kBroken);
  }
  if (++errors.num_warnings > self(state).limits_.max_warnings)
    self(state).stop(Failure::kWarnings);
}

void JpegReader::on_progress(j_common_ptr state) {
  JpegReader& reader = self(state);
  if (reader.state_.input_scan_number > reader.limits_.max_scans) reader.stop(Failure::kScans);
  if (reader.deadline_.passed()) reader.stop(Failure::kTime);
}

/// As ycc420.h knows how to read it.
bool JpegReader::is_ycc420() const {
  if (state_.num_components != 3 || state_.jpeg_color_space != JCS_YCbCr) return false;
  for (int i = 0; i < 3; ++i) {
    const jpeg_component_info& c = state_.comp_info[i];
    if (c.h_samp_factor != (i == 0 ? 2 : 1) || c.v_samp_factor != c.h_samp_factor) return false;
  }
  return state_.image_width >= unsigned(kYcc420MinWidth);
}

bool JpegReader::start(bool planes) {
  if (setjmp(jump_) != 0) return false;
  jpeg_create_decompress(&state_);
  state_.client_data = this;
  state_.progress = &progress_;
  state_.mem->max_memory_to_use = static_cast<long>(memory_);
  jpeg_mem_src(&state_, bytes_.data(), static_cast<unsigned long>(bytes_.size()));
  jpeg_read_header(&state_, TRUE);
  state_.out_color_space = state_.num_components == 4 ? JCS_CMYK : JCS_RGB;
  if (planes && is_ycc420()) {
    state_.out_color_space = JCS_YCbCr;
    state_.raw_data_out = TRUE;
  }
  jpeg_start_decompress(&state_);
  return true;
}

bool JpegReader::read(uint8_t** rows, int count, int& done) {
  if (setjmp(jump_) != 0) return false;
  const JDIMENSION got = jpeg_read_scanlines(&state_, rows, static_cast<JDIMENSION>(count));
  if (got == 0) stop(Failure::kBroken);  // a source that never suspends gives rows or an error
  done += static_cast<int>(got);
  return true;
}

bool JpegReader::read_planes(uint8_t** luma, uint8_t** cb, uint8_t** cr) {
  if (setjmp(jump_) != 0) return false;
  JSAMPARRAY planes[] = {luma, cb, cr};
  if (jpeg_read_raw_data(&state_, planes, kPlaneRows) == 0) stop(Failure::kBroken);
  return true;
}

bool JpegReader::finish() {
  if (setjmp(jump_) != 0) return false;
  jpeg_finish_decompress(&state_);
  return true;
}

std::string JpegReader::message() const {
  const std::string row = std::to_string(state_.output_scanline);
  return std::string(text_) + " (row " + row + " of " + std::to_string(state_.image_height) + ")";
}

}  // namespace face::image
