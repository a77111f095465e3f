// SPDX-License-Identifier: MIT
// Devices, memory and errors of runtime.h.
#include "kernels/cuda/emu/runtime.h"

#include <cstdlib>
#include <cstring>

#include "kernels/cuda/emu/runtime_state.h"

namespace face::cuda::emu {

thread_local int current_device = 0;

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

cudaError_t enter(const char* function) {
  Runtime& r = runtime();
  if (r.machine.driver != cudaSuccess) return r.last = r.machine.driver;
  if (r.sticky != cudaSuccess) return r.last = r.sticky;
  const auto fault = r.faults.find(function);
  if (fault == r.faults.end() || --fault->second.countdown > 0) return cudaSuccess;
  r.last = fault->second.error;
  if (fault->second.sticky) r.sticky = fault->second.error;
  r.faults.erase(fault);
  return r.last;
}

cudaError_t status() { return runtime().sticky; }

namespace {

cudaError_t allocate(std::map<const char*, size_t>& where, void** p, size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(memory, 0xff, size);
  where[static_cast<const char*>(memory)] = size;
  *p = memory;
  return cudaSuccess;
}

bool inside(const std::map<const char*, size_t>& where, const void* p, size_t size) {
  const char* c = static_cast<const char*>(p);
  auto next = where.upper_bound(c);
  if (next == where.begin()) return false;
  --next;
  return c + size <= next->first + next->second;
}

cudaError_t release(std::map<const char*, size_t>& where, void* p) {
  if (p == nullptr) return cudaSuccess;
  pump(all_empty);
  if (where.erase(static_cast<const char*>(p)) == 0) return cudaErrorInvalidValue;
  std::free(p);
  return status();
}

}  // namespace

Machine& machine() { return runtime().machine; }

void inject(const std::string& function, int n, cudaError_t error, bool sticky) {
  runtime().faults[function] = {n, error, sticky};
}

void reset() {
  Runtime& r = runtime();
  r.faults.clear();
  r.sticky = r.last = cudaSuccess;
  r.detail.clear();
  for (Stream* stream : r.streams) stream->queue.clear();
  r.null_stream.queue.clear();
  current_device = 0;
}

size_t allocated() { return runtime().in_use; }

}  // namespace face::cuda::emu

using namespace face::cuda::emu;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
  }
  return "cudaErrorUnknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  const std::string& detail = runtime().detail;
  return error == runtime().sticky && !detail.empty() ? detail.c_str() : cudaGetErrorName(error);
}

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(runtime().mutex);
  const cudaError_t error = runtime().last;
  runtime().last = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call(__func__, [&] {
    *count = machine().devices;
    return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
  });
}
cudaError_t cudaSetDevice(int device) {
  return call(__func__, [&] {
    if (device < 0 || device >= machine().devices) return cudaErrorInvalidDevice;
    current_device = device;
    return cudaSuccess;
  });
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().driver == cudaSuccess ? 13000 : 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  return call(__func__, [&] {
    std::strcpy(properties->name, "emulated GPU");
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  return call(__func__, [&] {
    const Machine& m = machine();
    *value = attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? m.max_shared
             : attribute == cudaDevAttrMultiProcessorCount        ? m.multiprocessors
             : attribute == cudaDevAttrClockRate                  ? m.clock_khz
             : attribute == cudaDevAttrComputeCapabilityMajor     ? m.major
                                                                  : m.minor;
    return cudaSuccess;
  });
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call(__func__, [&] {
    *total = machine().memory;
    *free = machine().memory - runtime().in_use;
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** p, size_t size) {
  return call(__func__, [&] {
    if (runtime().in_use + size > machine().memory) return cudaErrorMemoryAllocation;
    const cudaError_t error = allocate(runtime().device, p, size);
    if (error == cudaSuccess) runtime().in_use += size;
    return error;
  });
}
cudaError_t cudaFree(void* p) {
  const std::lock_guard lock(runtime().mutex);
  const auto found = runtime().device.find(static_cast<const char*>(p));
  if (found != runtime().device.end()) runtime().in_use -= found->second;
  return release(runtime().device, p);
}
cudaError_t cudaMallocHost(void** p, size_t size) {
  return call(__func__, [&] { return allocate(runtime().host, p, size); });
}
cudaError_t cudaFreeHost(void* p) {
  const std::lock_guard lock(runtime().mutex);
  return release(runtime().host, p);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  return call(__func__, [&] {
    attributes->type = inside(runtime().host, p, 1)     ? cudaMemoryTypeHost
                       : inside(runtime().device, p, 1) ? cudaMemoryTypeDevice
                                                        : cudaMemoryTypeUnregistered;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  {
    const std::lock_guard lock(runtime().mutex);
    const auto& device = runtime().device;
    if ((kind != cudaMemcpyDeviceToHost && !inside(device, to, size)) ||
        (kind != cudaMemcpyHostToDevice && !inside(device, from, size)) ||
        (kind == cudaMemcpyHostToDevice && inside(device, from, 1)) ||
        (kind == cudaMemcpyDeviceToHost && inside(device, to, 1)))
      return runtime().last = cudaErrorInvalidValue;
  }
  return enqueue(stream, __func__, [=] { std::memcpy(to, from, size); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
  {
    const std::lock_guard lock(runtime().mutex);
    if (!inside(runtime().device, to, size)) return runtime().last = cudaErrorInvalidValue;
  }
  return enqueue(stream, __func__, [=] { std::memset(to, value, size); });
}
