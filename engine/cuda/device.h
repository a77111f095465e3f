// SPDX-License-Identifier: MIT
// engine/cuda/device.h - a GPU, as far as choices depend on it.
#pragma once

#include <string>

#include "engine/cuda/raii.h"

namespace face::cuda {

/// A GPU that can be used.
struct Device {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;
  int multiprocessors = 0;
  int max_shared = 0;  // bytes a block may ask for
  int driver = 0, runtime = 0;
  [[nodiscard]] bool tensor_cores() const { return capability() >= 75; }
  /// Multiplies pairs of halves at twice the rate of floats and has no tensor_cores(). Not so
  /// sm_61, with one in 64. Source: CUDA C++ Programming Guide, "Throughput of native arithmetic
  /// instructions".
  [[nodiscard]] bool half2_products() const {
    const int c = capability();
    return c == 60 || c == 62 || c == 70 || c == 72;
  }

 private:
  [[nodiscard]] int capability() const { return major * 10 + minor; }
};

/// GPU `index`, which becomes the calling thread's. Errors: kDevice.
[[nodiscard]] Device describe_device(int index);
[[nodiscard]] int device_attribute(cudaDeviceAttr which, int index);

/// Makes `device` the one that the calling thread's CUDA calls mean.
inline void make_current(const Device& device) { FACE_CUDA(cudaSetDevice(device.index)); }

}  // namespace face::cuda
