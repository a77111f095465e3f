// SPDX-License-Identifier: MIT
// kernels/cuda/emu/runtime.h - the part of the CUDA runtime that engine/cuda uses.
//
// Work is queued per stream and runs only when somebody waits for it; streams take turns by the
// seed of block.h's Config. So a missing event or synchronisation shows as a wrong or poisoned
// result. Memory starts as NaN bytes; copies check that device pointers lie in allocations. The
// devices of a machine share memory; a stream takes kernels only from threads that chose its
// device. Threads: every function takes one global lock.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <tuple>

#include "kernels/cuda/emu/block.h"

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names

constexpr int CUDART_VERSION = 13000;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost, cudaMemoryTypeDevice };
struct cudaPointerAttributes {
  cudaMemoryType type;
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaDeviceAttr {
  cudaDevAttrClockRate = 13,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
};
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;
struct cudaDeviceProp {
  char name[256];
};

namespace face::cuda::emu {

struct Stream;
struct Event;
struct Graph;

/// The machine that the runtime pretends to have.
struct Machine {
  int devices = 1;
  int major = 8, minor = 0;
  int multiprocessors = 4;
  int clock_khz = 1'000'000;
  int max_shared = 163 << 10;
  size_t memory = size_t{8} << 30;
  cudaError_t driver = cudaSuccess;  // what every call answers if there is no usable driver
  /// Milliseconds that events read instead of the time; every kernel adds 1. Null: the time.
  double* clock = nullptr;
};
Machine& machine();

/// The n-th later call of `function` (1: the next) returns `error`. From a sticky one on, every
/// call does, as after a fault on a device, until reset().
void inject(const std::string& function, int n, cudaError_t error, bool sticky);
/// Forgets injected and sticky errors and queued work.
void reset();
/// Bytes of device memory in use.
size_t allocated();

cudaError_t enqueue(Stream* stream, const char* function, std::function<void()> work);

template <typename... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, Stream* stream,
                   std::tuple<P...> arguments) {
  struct Closure {
    void (*kernel)(P...);
    std::tuple<P...> arguments;
  };
  return enqueue(stream, "cudaLaunchKernel",
                 [grid, block, shared, closure = Closure{kernel, std::move(arguments)}] {
                   run_grid({[](const void* p) {
                               const auto* c = static_cast<const Closure*>(p);
                               std::apply(c->kernel, c->arguments);
                             },
                             &closure, grid, block, shared});
                   if (machine().clock != nullptr) *machine().clock += 1;
                 });
}

}  // namespace face::cuda::emu

using cudaStream_t = face::cuda::emu::Stream*;
using cudaEvent_t = face::cuda::emu::Event*;
using cudaGraph_t = face::cuda::emu::Graph*;
using cudaGraphExec_t = face::cuda::emu::Graph*;

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMalloc(void** p, size_t size);
cudaError_t cudaFree(void* p);
cudaError_t cudaMallocHost(void** p, size_t size);
cudaError_t cudaFreeHost(void* p);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
