// SPDX-License-Identifier: MIT
// engine/face_engine.h - the engine as server, command line and benchmarks see it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/image.h"
#include "engine/pack.h"

namespace face {

struct EngineOptions {
  std::string device = "auto";
  PipelineOptions pipeline;
};

/// A model on a device, warmed up. Threads: run() is not reentrant; info is.
class FaceEngine {
 public:
  /// Loads nothing itself: `pack` is open. Runs one image through before it returns, so that the
  /// first request is not the slow one. Errors: those of make_backend() and Backend::pipeline().
  FaceEngine(std::shared_ptr<const Pack> pack, const EngineOptions& options);

  /// Any number of images: cut into batches of at most Pipeline::max_batch().
  [[nodiscard]] std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                                   StageTimes* times = nullptr);

  [[nodiscard]] const DeviceInfo& device() const { return backend_->info(); }
  [[nodiscard]] const Pack& pack() const { return *pack_; }
  [[nodiscard]] Precision precision() const { return pipeline_->precision(); }
  [[nodiscard]] int max_batch() const { return pipeline_->max_batch(); }
  [[nodiscard]] size_t memory_bytes() const { return pipeline_->memory_bytes(); }
  [[nodiscard]] std::string notes() const { return pipeline_->notes(); }

 private:
  std::shared_ptr<const Pack> pack_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace face
