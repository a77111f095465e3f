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
#include "engine/pipeline_pool.h"

namespace face {

struct EngineOptions {
  DeviceChoice device;
  int instances = 2;  // batches that a GPU works on at the same time; the CPU: one
  PipelineOptions pipeline;
};

/// Batches that an engine with these options works on at the same time; asks the driver for GPUs.
[[nodiscard]] int runs_at_once(const EngineOptions& options);

/// A model on its devices, warmed up. Threads: as PipelinePool.
class FaceEngine {
 public:
  /// Loads nothing itself: `pack` is open. Errors: those of make_backends() and PipelinePool.
  FaceEngine(std::shared_ptr<const Pack> pack, const EngineOptions& options);

  /// As PipelinePool::run().
  [[nodiscard]] std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                                   StageTimes* times = nullptr) {
    return pool_.run(images, times);
  }

  /// What decoders should make for run(), which takes plain RGB too.
  [[nodiscard]] const ImageTarget& image_target() const { return image_target_; }
  /// Several devices are one with the names of all, "2 x NVIDIA H200".
  [[nodiscard]] const DeviceInfo& device() const { return device_; }
  [[nodiscard]] const Pack& pack() const { return *pack_; }
  [[nodiscard]] const PipelinePool& pipelines() const { return pool_; }

 private:
  std::shared_ptr<const Pack> pack_;
  Backends backends_;
  DeviceInfo device_;
  ImageTarget image_target_;
  PipelinePool pool_;
};

}  // namespace face
