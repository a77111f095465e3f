// SPDX-License-Identifier: MIT
// engine/image/headers.h - walks over the headers of each format, without a library and without
// allocating: sizes, orientation, limits, and how much memory decoding will take.
//
// REQUIRES (all): `bytes` begins with the format's signature.
// Errors (all): kBadImage - broken or truncated; kUnsupportedFormat - a kind of the format that is
// not decoded, named; kTooLarge - the limit and the value found.
#pragma once

#include "engine/image.h"
#include "engine/image/bytes.h"

namespace face::image {

/// Markers up to the first scan; of pictures with several scans, all markers, to count them.
[[nodiscard]] ImageInfo probe_jpeg(Bytes bytes, const ImageLimits& limits);
/// All chunks, to the end of IEND.
[[nodiscard]] ImageInfo probe_png(Bytes bytes, const ImageLimits& limits);
/// RIFF chunks and the header of the one frame.
[[nodiscard]] ImageInfo probe_webp(Bytes bytes, const ImageLimits& limits);
/// The chunk of the frame alone, without container and alpha plane. REQUIRES: probe_webp() took the
/// file.
[[nodiscard]] Bytes webp_frame(Bytes bytes, const ImageLimits& limits);
/// File and info header, and that all rows are there.
[[nodiscard]] ImageInfo probe_bmp(Bytes bytes, const ImageLimits& limits);

/// Sides >= 1 and <= max_side, pixels <= max_pixels.
void check_size(const char* format, int64_t width, int64_t height, const ImageLimits& limits);

[[noreturn]] void bad_image(const char* format, const std::string& what);
[[noreturn]] void unsupported(const std::string& what);
[[noreturn]] void too_large(const std::string& what);

/// Bytes of the RGB picture, and of the second one that turning it by 90 degrees takes.
[[nodiscard]] size_t rgb_bytes(const ImageInfo& info);

}  // namespace face::image
