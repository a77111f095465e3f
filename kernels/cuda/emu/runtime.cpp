// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/runtime.h"

#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

namespace face::cuda::emu {

struct Event {
  uint64_t asked = 0, done = 0;
  double milliseconds = 0;
};

struct Work {
  std::function<void()> run;
  Event* wait = nullptr;  // instead of running: until `wait->done >= ticket`
  uint64_t ticket = 0;
};

struct Graph {
  std::vector<std::function<void()>> work;
};

struct Stream {
  std::deque<Work> queue;
  Graph* capture = nullptr;
  int device = 0;
};

thread_local int current_device = 0;

namespace {

struct Fault {
  int countdown;
  cudaError_t error;
  bool sticky;
};

struct Runtime {
  std::recursive_mutex mutex;
  Machine machine;
  std::vector<Stream*> streams;
  Stream null_stream;
  std::map<const char*, size_t> device, host;  // allocations
  size_t in_use = 0;
  std::map<std::string, Fault> faults;
  cudaError_t sticky = cudaSuccess, last = cudaSuccess;
  std::string detail;  // of the sticky error
  uint64_t random = 1;
};

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

/// What a call answers before it does anything.
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

double now() {
  if (const double* clock = runtime().machine.clock; clock != nullptr) return *clock;
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(since).count();
}

Stream* resolve(Stream* stream) { return stream == nullptr ? &runtime().null_stream : stream; }

bool is_of_another_device(const Stream* stream) {
  return stream != nullptr && stream->device != current_device;
}

/// Runs the front of a queue. False if it is empty or waits.
bool step(Stream* stream) {
  Runtime& r = runtime();
  if (stream->queue.empty()) return false;
  if (const Work& front = stream->queue.front();
      front.wait != nullptr && front.wait->done < front.ticket)
    return false;
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (!work.run || r.sticky != cudaSuccess) return true;
  try {
    work.run();
  } catch (const KernelError& e) {
    r.sticky = cudaErrorLaunchFailure;
    r.detail = e.what();
  }
  return true;
}

/// Runs queued work, streams in a seeded order, until the condition holds.
template <typename Condition>
void pump(Condition until) {
  Runtime& r = runtime();
  while (!until()) {
    std::vector<Stream*> order = r.streams;
    order.push_back(&r.null_stream);
    if (config().order == Order::kRandom)
      for (size_t i = order.size(); i > 1; --i) {
        r.random = r.random * 6364136223846793005ull + config().seed * 2 + 1;
        std::swap(order[i - 1], order[(r.random >> 33) % i]);
      }
    bool any = false;
    for (Stream* stream : order) {
      if (step(stream)) any = true;
      if (any && config().order == Order::kRandom) break;
    }
    if (any) continue;
    r.sticky = cudaErrorLaunchFailure;
    r.detail = "streams wait for events that nobody records";
    return;
  }
}

template <typename Body>
cudaError_t call(const char* function, Body body) {
  const std::lock_guard lock(runtime().mutex);
  if (const cudaError_t error = enter(function); error != cudaSuccess) return error;
  const cudaError_t error = body();
  if (error != cudaSuccess) runtime().last = error;
  return error;
}

cudaError_t status() { return runtime().sticky; }

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

bool all_empty() {
  for (Stream* stream : runtime().streams)
    if (!stream->queue.empty()) return false;
  return runtime().null_stream.queue.empty();
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

cudaError_t enqueue(Stream* stream, const char* function, std::function<void()> work) {
  return call(function, [&] {
    if (is_of_another_device(stream)) return cudaErrorInvalidResourceHandle;
    Stream* s = resolve(stream);
    if (s->capture != nullptr) {
      s->capture->work.push_back(std::move(work));
    } else {
      s->queue.push_back({std::move(work), nullptr, 0});
    }
    return cudaSuccess;
  });
}

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
  *version = 13000;
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

cudaError_t cudaDeviceSynchronize() {
  return call(__func__, [&] {
    pump(all_empty);
    return status();
  });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call(__func__, [&] {
    *stream = new Stream;
    (*stream)->device = current_device;
    runtime().streams.push_back(*stream);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  pump([&] { return stream->queue.empty() || status() != cudaSuccess; });
  std::erase(runtime().streams, stream);
  delete stream;
  return status();
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call(__func__, [&] {
    pump([&] { return resolve(stream)->queue.empty(); });
    return status();
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return call(__func__, [&] {
    resolve(stream)->queue.push_back({nullptr, event, event->asked});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return call(__func__, [&] {
    *event = new Event;
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(runtime().mutex);
  pump(all_empty);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  const uint64_t ticket = ++event->asked;
  return enqueue(stream, __func__, [=] {
    event->done = ticket;
    event->milliseconds = now();
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(__func__, [&] {
    pump([&] { return event->done >= event->asked || status() != cudaSuccess; });
    return status();
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  return call(__func__, [&] {
    *milliseconds = static_cast<float>(to->milliseconds - from->milliseconds);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return call(__func__, [&] {
    stream->capture = new Graph;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call(__func__, [&] {
    *graph = stream->capture;
    stream->capture = nullptr;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  return call(__func__, [&] {
    *executable = new Graph(*graph);
    return cudaSuccess;
  });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call(__func__, [&] {
    if (is_of_another_device(stream)) return cudaErrorInvalidResourceHandle;
    for (const auto& work : executable->work) resolve(stream)->queue.push_back({work, nullptr, 0});
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
