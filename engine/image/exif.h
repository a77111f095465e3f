// SPDX-License-Identifier: MIT
// engine/image/exif.h - the orientation in a block of EXIF, found by a bounded walk.
#pragma once

#include "engine/image/bytes.h"

namespace face::image {

/// The orientation 1..8 in `tiff` (EXIF from its byte-order mark on: "II*\0" or "MM\0*"). Only the
/// first directory is read, at most 200 entries, as SHORT or LONG, the first entry found wins;
/// anything broken, out of range or absent is 1. Never allocates, never reads outside `tiff`.
[[nodiscard]] int exif_orientation(Bytes tiff);

/// The TIFF part of a payload that may begin with "Exif\0\0".
[[nodiscard]] Bytes strip_exif_prefix(Bytes payload);

}  // namespace face::image
