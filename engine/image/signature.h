// SPDX-License-Identifier: MIT
// engine/image/signature.h - what kind of file an upload is, by its first bytes alone.
#pragma once

#include "engine/image.h"
#include "engine/image/bytes.h"

namespace face::image {

/// The format of a file that is decoded. The name and type a client claims are never looked at.
/// Errors: kUnsupportedFormat - another kind of picture or document, named in the message;
/// kBadImage - empty, or nothing that is known.
[[nodiscard]] ImageFormat sniff(Bytes bytes);

}  // namespace face::image
