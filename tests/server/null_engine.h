// SPDX-License-Identifier: MIT
// tests/server/null_engine.h - an engine and a decoder whose answers, delays and failures a test
// sets. A "picture" is the text "PIC width height"; anything else is no image.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/error.h"
#include "server/face_service.h"

namespace face::test {

/// What a test and its NullService share. Threads: all members are safe.
class NullControl {
 public:
  ServiceInfo info = [] {
    ServiceInfo made;
    made.device.name = "null device";
    made.device.driver = "none";
    made.fingerprint = "0123456789abcdef";
    made.embedding_size = 3;
    made.memory_bytes = 1'000;
    made.max_batch = 4;
    return made;
  }();

  /// While closed, runs wait.
  void close_gate() {
    set([this] { open_ = false; });
  }
  void open_gate() {
    set([this] { open_ = true; });
  }
  /// The next run throws.
  void fail_next(ErrorKind kind) {
    set([&] {
      fail_ = true;
      failure_ = kind;
    });
  }
  /// All later runs throw.
  void fail_always(ErrorKind kind) {
    set([&] {
      lost_ = true;
      failure_ = kind;
    });
  }
  /// Pictures of this width always fail.
  void fail_width(int width) {
    set([&] { bad_width_ = width; });
  }
  void answer_nan() {
    set([this] { nan_ = true; });
  }
  /// Waits until `count` runs have begun.
  void await_runs(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= count; });
  }
  /// Pictures that came as planes.
  int planes() {
    const std::lock_guard lock(mutex_);
    return planes_;
  }
  /// Pictures of each run so far.
  std::vector<size_t> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

  std::vector<std::vector<Face>> run(std::span<const ImageView> images, StageTimes* times) {
    std::unique_lock lock(mutex_);
    batches_.push_back(images.size());
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    if (std::exchange(fail_, false) || lost_) throw Error(failure_, "asked to fail");
    std::vector<std::vector<Face>> faces;
    for (const ImageView& image : images) {
      planes_ += image.format == PixelFormat::kYcc420 ? 1 : 0;
      if (image.width == bad_width_) throw Error(ErrorKind::kInternal, "non-finite output");
      faces.push_back({make_face(image)});
    }
    if (times != nullptr) times->detect = 1.5;
    return faces;
  }

 private:
  template <typename Change>
  void set(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  Face make_face(const ImageView& image) const {
    Face face;
    face.detection.x1 = -1.5f;
    face.detection.x2 = float(image.width);
    face.detection.y2 = float(image.height);
    face.detection.score = 0.75f;
    face.embedding = {1.f, nan_ ? 0.f / 0.f : 2.f, 3.f};
    return face;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<size_t> batches_;
  bool open_ = true;
  bool fail_ = false;
  bool lost_ = false;
  bool nan_ = false;
  int bad_width_ = -1;
  int planes_ = 0;
  ErrorKind failure_ = ErrorKind::kInternal;
};

class NullService final : public FaceService {
 public:
  explicit NullService(std::shared_ptr<NullControl> control) : control_(std::move(control)) {}
  const ServiceInfo& info() const override { return control_->info; }
  std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                     StageTimes* times) override {
    return control_->run(images, times);
  }

 private:
  std::shared_ptr<NullControl> control_;
};

inline PictureDecoder null_decoder() {
  PictureDecoder decoder;
  decoder.probe = [](std::span<const uint8_t> bytes) {
    ImageInfo info;
    const std::string text(bytes.begin(), bytes.end());
    if (text.substr(0, 3) == "GIF") {
      throw Error(ErrorKind::kUnsupportedFormat, "GIF is not supported");
    }
    if (std::sscanf(text.c_str(), "PIC %d %d", &info.width, &info.height) != 2) {
      throw Error(ErrorKind::kBadImage, "Invalid image format");
    }
    if (info.width > 10'000) throw Error(ErrorKind::kTooLarge, "more than 50 megapixels");
    info.decode_bytes = size_t(3) * size_t(info.width) * size_t(info.height);
    return info;
  };
  decoder.decode = [](std::span<const uint8_t>, const ImageInfo& info, const ImageTarget& target) {
    Image image = target.planes ? Image::planes(info, target.memory)
                                : Image(info.width, info.height, target.memory);
    std::memset(image.data(), 0, image.size_bytes());
    return image;
  };
  return decoder;
}

}  // namespace face::test
