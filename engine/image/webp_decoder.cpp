// SPDX-License-Identifier: MIT
// engine/image/webp_decoder.cpp - libwebp, fed in slices so that the deadline can be kept, and with
// the frame alone: the alpha plane is dropped anyway, and where memory ends while it is decoded,
// libwebp 1.2 frees a pointer that it never had.
#include <webp/decode.h>

#include <algorithm>
#include <memory>

#include "engine/error.h"
#include "engine/image/decoders.h"
#include "engine/image/headers.h"
#include "engine/image/upright.h"

namespace face::image {
namespace {

constexpr size_t kSlice = size_t{64} << 10;

struct DecoderDeleter {
  void operator()(WebPIDecoder* decoder) const noexcept { WebPIDelete(decoder); }
};

[[noreturn]] void fail(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_USER_ABORT:  // its output stage found no memory
    case VP8_STATUS_OUT_OF_MEMORY:
      throw Error(ErrorKind::kBusy, "out of memory for a WebP");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      bad_image("WebP", "truncated");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      unsupported("This kind of WebP");
    default:
      bad_image("WebP", "broken picture data");
  }
}

/// What an allocator may add to the picture and to one large block: a page and a header each.
constexpr size_t kAllocatorRounding = size_t{2} << 12;

/// libwebp 1.2 does not survive every failed allocation of its lossless decoder, so ask before it
/// does whether the memory is there.
void require_memory(size_t bytes) {
  const std::unique_ptr<uint8_t[]> probe(new (std::nothrow) uint8_t[bytes]);
  if (!probe) fail(VP8_STATUS_OUT_OF_MEMORY);
}

void check_features(Bytes bytes, const ImageInfo& info) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status != VP8_STATUS_OK) fail(status);
  if (features.has_animation != 0) unsupported("Animated WebP");
  if (features.width != info.width || features.height != info.height) {
    bad_image("WebP", "two sizes in one file");
  }
}

}  // namespace

Image decode_webp(Bytes file, const ImageInfo& info, const ImageLimits& limits) {
  const Bytes bytes = webp_frame(file, limits);
  const Deadline deadline(limits.deadline);
  check_features(bytes, info);
  Image stored(info.width, info.height);
  require_memory(info.decode_bytes - stored.size_bytes() - kAllocatorRounding);
  const std::unique_ptr<WebPIDecoder, DecoderDeleter> decoder(
      WebPINewRGB(MODE_RGB, stored.data(), stored.size_bytes(), 3 * info.width));
  if (!decoder) fail(VP8_STATUS_OUT_OF_MEMORY);
  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  for (size_t end = 0; status == VP8_STATUS_SUSPENDED && end < bytes.size();) {
    if (deadline.passed()) too_slow(info, limits);
    end = std::min(bytes.size(), end + kSlice);
    status = WebPIUpdate(decoder.get(), bytes.data(), end);
  }
  if (status != VP8_STATUS_OK) fail(status);
  return turn_upright(std::move(stored), info.orientation);
}

}  // namespace face::image
