// SPDX-License-Identifier: MIT
#include "engine/cuda/device.h"

namespace face::cuda {

int device_attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  FACE_CUDA(cudaDeviceGetAttribute(&value, which, index));
  return value;
}

Device describe_device(int index) {
  Device device;
  device.index = index;
  cudaDeviceProp properties{};
  FACE_CUDA(cudaSetDevice(index));
  FACE_CUDA(cudaGetDeviceProperties(&properties, index));
  device.name = properties.name;
  device.major = device_attribute(cudaDevAttrComputeCapabilityMajor, index);
  device.minor = device_attribute(cudaDevAttrComputeCapabilityMinor, index);
  device.multiprocessors = device_attribute(cudaDevAttrMultiProcessorCount, index);
  device.max_shared = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index);
  FACE_CUDA(cudaDriverGetVersion(&device.driver));
  FACE_CUDA(cudaRuntimeGetVersion(&device.runtime));
  return device;
}

}  // namespace face::cuda
