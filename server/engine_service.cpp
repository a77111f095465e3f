// SPDX-License-Identifier: MIT
// server/engine_service.cpp - the engine behind the server's seam.
#include <filesystem>
#include <utility>

#include "engine/face_engine.h"
#include "server/serve.h"

namespace face {
namespace {

class EngineService final : public FaceService {
 public:
  EngineService(std::shared_ptr<const Pack> pack, const EngineOptions& options)
      : engine_(std::move(pack), options) {
    const Pack& loaded = engine_.pack();
    info_.device = engine_.device();
    const PipelinePool& pipelines = engine_.pipelines();
    info_.precision = pipelines.precision();
    info_.fingerprint = loaded.fingerprint();
    info_.untrained = loaded.provenance().generated;
    if (loaded.recogniser() != nullptr) {
      info_.embedding_size = size_t(loaded.recogniser()->embedding_size);
    }
    info_.memory_bytes = pipelines.memory_bytes();
    info_.mapped_bytes = size_t(std::filesystem::file_size(loaded.path()));
    info_.max_batch = pipelines.max_batch();
    info_.instances = pipelines.size();
    info_.notes = pipelines.notes();
    info_.image_target = engine_.image_target();
  }

  const ServiceInfo& info() const override { return info_; }
  std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                     StageTimes* times) override {
    return engine_.run(images, times);
  }

 private:
  FaceEngine engine_;
  ServiceInfo info_;
};

}  // namespace

ServiceFactory engine_factory(const Config& config) {
  std::shared_ptr<const Pack> pack = Pack::open(config.model);
  return [pack = std::move(pack), options = config.engine] {
    return std::make_unique<EngineService>(pack, options);
  };
}

}  // namespace face
