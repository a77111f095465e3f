// SPDX-License-Identifier: MIT
// server/face_service.h - the engine as the server needs it: the real one, or one for tests.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/image.h"

namespace face {

/// What health answers, metrics and the log tell about a loaded model.
struct ServiceInfo {
  DeviceInfo device;
  Precision precision = Precision::kFp32;
  std::string fingerprint;    // of the weights
  bool untrained = false;     // generated weights: answers mean nothing
  size_t embedding_size = 0;  // 0: the pack has no recogniser
  size_t memory_bytes = 0;    // activations and weight copies
  size_t mapped_bytes = 0;    // weight file
  int max_batch = 1;
  int instances = 1;         // runs that are worked on at the same time
  std::string notes;         // Pipeline::notes()
  ImageTarget image_target;  // what pictures are decoded to
};

/// Pictures to faces. Threads: info() from any; run() from up to info().instances at once.
class FaceService {
 public:
  virtual ~FaceService() = default;
  [[nodiscard]] virtual const ServiceInfo& info() const = 0;
  /// Faces of each picture, best first. REQUIRES: 1 <= images.size() <= info().max_batch.
  [[nodiscard]] virtual std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                                           StageTimes* times) = 0;
};

/// Loads and warms up a service; takes as long as that takes. Throws Error.
using ServiceFactory = std::function<std::unique_ptr<FaceService>()>;

/// Bytes to pixels, in two steps as in engine/image.h; any threads.
struct PictureDecoder {
  std::function<ImageInfo(std::span<const uint8_t>)> probe;
  std::function<Image(std::span<const uint8_t>, const ImageInfo&, const ImageTarget&)> decode;
};

}  // namespace face
