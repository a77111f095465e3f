// SPDX-License-Identifier: MIT
// engine/backend.cpp - choice of the device.
#include "engine/backend.h"

#include <algorithm>

#include "engine/cpu/cpu_backend.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/error.h"

namespace face {
namespace {

std::unique_ptr<Backend> make_auto_backend() {
  try {
    return make_cuda_backend(0);
  } catch (const Error& e) {
    return make_cpu_backend(e.what());
  }
}

}  // namespace

std::unique_ptr<Backend> make_backend(const DeviceChoice& device) {
  switch (device.kind) {
    case DeviceKind::kAuto:
      return make_auto_backend();
    case DeviceKind::kCpu:
      return make_cpu_backend("");
    case DeviceKind::kGpu:
      return make_cuda_backend(device.index);
    case DeviceKind::kAllGpus:
      throw Error(ErrorKind::kInvalidArgument, "device \"cuda:all\": only one can be used here");
  }
  throw Error(ErrorKind::kInternal, "unknown device");
}

std::vector<std::unique_ptr<Backend>> make_backends(const DeviceChoice& device) {
  std::vector<std::unique_ptr<Backend>> backends;
  if (device.kind != DeviceKind::kAllGpus) {
    backends.push_back(make_backend(device));
    return backends;
  }
  const int count = std::max(1, cuda_device_count());
  backends.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) backends.push_back(make_cuda_backend(i));
  return backends;
}

}  // namespace face
