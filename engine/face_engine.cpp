// SPDX-License-Identifier: MIT
#include "engine/face_engine.h"

#include <utility>

#include "engine/cuda/cuda_backend.h"

namespace face {
namespace {

DeviceInfo describe(const Backends& backends) {
  DeviceInfo info = backends.front()->info();
  if (backends.size() == 1) return info;
  info.name.clear();
  for (size_t i = 0, end = 0; i < backends.size(); i = end) {
    const std::string& name = backends[i]->info().name;
    while (end < backends.size() && backends[end]->info().name == name) ++end;
    info.name += (i == 0 ? "" : ", ") + std::to_string(end - i) + " x " + name;
  }
  return info;
}

}  // namespace

int runs_at_once(const EngineOptions& options) {
  if (options.device.kind == DeviceKind::kCpu) return 1;
  const int devices = cuda_device_count();
  if (devices == 0) return 1;
  return options.instances * (options.device.kind == DeviceKind::kAllGpus ? devices : 1);
}

FaceEngine::FaceEngine(std::shared_ptr<const Pack> pack, const EngineOptions& options)
    : pack_(std::move(pack)),
      backends_(make_backends(options.device)),
      device_(describe(backends_)),
      image_target_(backends_.front()->image_target()),
      pool_(backends_, pack_, options.pipeline, options.instances) {}

}  // namespace face
