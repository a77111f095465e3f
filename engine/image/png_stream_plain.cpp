// SPDX-License-Identifier: MIT
#include <cstring>

#include "engine/image/png_stream.h"

namespace face::image {
namespace {

class PlainPngStream final : public PngStream {
 public:
  explicit PlainPngStream(Bytes file) : left_(file) {}

  bool read(uint8_t* to, size_t count) override {
    if (count > left_.size()) return false;
    std::memcpy(to, left_.data(), count);
    left_ = left_.subspan(count);
    return true;
  }
  const char* fault() const override { return nullptr; }
  bool checks_data() const override { return false; }
  void skip_data() override {}

 private:
  Bytes left_;
};

}  // namespace

std::unique_ptr<PngStream> open_png_stream(Bytes file, size_t /*max_data*/) {
  return std::make_unique<PlainPngStream>(file);
}

}  // namespace face::image
