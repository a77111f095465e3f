// SPDX-License-Identifier: MIT
// Streams, events and graphs of runtime.h.
#include <chrono>
#include <utility>

#include "kernels/cuda/emu/runtime_state.h"

namespace face::cuda::emu {
namespace {

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

}  // namespace

void pump(const std::function<bool()>& until) {
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

bool all_empty() {
  for (Stream* stream : runtime().streams)
    if (!stream->queue.empty()) return false;
  return runtime().null_stream.queue.empty();
}

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
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
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
