// SPDX-License-Identifier: MIT
// tests/cuda/on_device.h on the first GPU.
#include "tests/cuda/on_device.h"

namespace face::cuda {

const bool kExactMemory = false;
// expf() of CUDA is off by 2 units in the last place at most; glibc's by 1.
const float kExpError = 3e-7f;

void set_order(Order, uint64_t) {}

std::vector<Generation> generations() {
  Generation found;
  cudaDeviceProp properties;
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  found.name = properties.name;
  cudaDeviceGetAttribute(&found.major, cudaDevAttrComputeCapabilityMajor, 0);
  cudaDeviceGetAttribute(&found.minor, cudaDevAttrComputeCapabilityMinor, 0);
  cudaDeviceGetAttribute(&found.max_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
  return {found};
}

void become(const Generation&) {}

size_t used_memory() {
  size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  return total - free;
}

std::string no_device() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return std::string("no usable GPU: ") + cudaGetErrorString(error);
  return count > 0 ? "" : "no GPU";
}

void* allocate(size_t bytes) {
  void* memory = nullptr;
  EXPECT_EQ(cudaMallocHost(&memory, bytes == 0 ? 1 : bytes), cudaSuccess);
  std::memset(memory, 0xff, bytes);
  return memory;
}

void release(void* memory) { cudaFreeHost(memory); }

void begin_test() {}

void end_test() { cudaGetLastError(); }

}  // namespace face::cuda
