// SPDX-License-Identifier: MIT
// engine/image/png_decoder.cpp - rows of a PNG into the upright picture.
#include <algorithm>
#include <string>

#include "engine/error.h"
#include "engine/image/decoders.h"
#include "engine/image/headers.h"
#include "engine/image/png_reader.h"
#include "engine/image/upright.h"

namespace face::image {
namespace {

/// What the rows of the deepest picture of this size take, in any number of passes.
size_t most_data(const ImageInfo& info) { return info.height * (size_t(8) * info.width + 64); }

class PngDecoder {
 public:
  PngDecoder(Bytes bytes, const ImageInfo& info, const ImageLimits& limits,
             const ImageTarget& target)
      : info_(info),
        limits_(limits),
        target_(target),
        deadline_(limits.deadline),
        reader_(bytes, info.decode_bytes - rgb_bytes(info), most_data(info), deadline_) {}

  Image run() {
    require(reader_.start(limits_.max_side, limits_.max_png_chunk), 0);
    if (reader_.width() != info_.width || reader_.height() != info_.height) {
      bad_image("PNG", "two sizes in one file");
    }
    Image picture = reader_.passes() == 1 ? read_rows() : read_passes();
    require(reader_.finish(), info_.height);
    return picture;
  }

 private:
  Image read_rows() {
    UprightRows rows(info_, target_.memory);
    for (int y = 0; y < info_.height; y += kStripRows) {
      const int count = std::min(kStripRows, info_.height - y);
      for (int i = 0; i < count; ++i) require(reader_.read(rows.row(y + i)), y + i);
      rows.commit(count);
      check_time();
    }
    return rows.take();
  }

  Image read_passes() {
    Image stored(info_.width, info_.height);
    for (int pass = 0; pass < reader_.passes(); ++pass) {
      for (int y = 0; y < info_.height; ++y) {
        require(reader_.read(stored.row(y)), y);
        if (y % kStripRows == 0) check_time();
      }
    }
    return turn_upright(std::move(stored), info_.orientation);
  }

  void check_time() const {
    if (deadline_.passed()) too_slow(info_, limits_);
  }

  void require(bool read, int row) const {
    if (read) return;
    check_time();
    if (reader_.out_of_memory()) throw Error(ErrorKind::kBusy, "out of memory for a PNG");
    bad_image("PNG", std::string(reader_.message()) + " (row " + std::to_string(row) + " of " +
                         std::to_string(info_.height) + ")");
  }

  const ImageInfo& info_;
  const ImageLimits& limits_;
  const ImageTarget& target_;
  const Deadline deadline_;
  PngReader reader_;
};

}  // namespace

Image decode_png(Bytes bytes, const ImageInfo& info, const ImageLimits& limits,
                 const ImageTarget& target) {
  return PngDecoder(bytes, info, limits, target).run();
}

}  // namespace face::image
