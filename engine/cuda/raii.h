// SPDX-License-Identifier: MIT
// engine/cuda/raii.h - owners of CUDA resources: move-only, destructors never throw.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "kernels/cuda/gpu.h"

namespace face::cuda {

/// Throws unless `status` is cudaSuccess: Error(kDeviceLost) after a fault that every later call
/// will report too (the process has to be restarted), else Error(kDevice). The message names the
/// call, the error, what was under way and the remedy.
void check(cudaError_t status, const std::string& call, const std::string& doing = "");
#define FACE_CUDA(call) ::face::cuda::check((call), #call)

template <typename Handle, cudaError_t (*Destroy)(Handle)>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Handle handle) : handle_(handle) {}
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owner() {
    if (handle_ != nullptr) static_cast<void>(Destroy(handle_));
  }
  [[nodiscard]] Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Stream = Owner<cudaStream_t, &cudaStreamDestroy>;
using Event = Owner<cudaEvent_t, &cudaEventDestroy>;
using GraphExec = Owner<cudaGraphExec_t, &cudaGraphExecDestroy>;
[[nodiscard]] Stream make_stream();
[[nodiscard]] Event make_event(bool timing);

/// Device or pinned host memory, uninitialised. Freeing synchronises: allocate at start.
class Memory {
 public:
  enum class Where { kDevice, kPinned };
  Memory() = default;
  Memory(Where where, size_t bytes);
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Memory();

  template <typename T>
  [[nodiscard]] T* as(size_t byte_offset = 0) const {
    return reinterpret_cast<T*>(static_cast<char*>(data_) + byte_offset);
  }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  void swap(Memory& other) noexcept {
    std::swap(where_, other.where_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Where where_ = Where::kDevice;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

[[nodiscard]] inline Memory device_memory(size_t bytes) { return {Memory::Where::kDevice, bytes}; }
[[nodiscard]] inline Memory pinned_memory(size_t bytes) { return {Memory::Where::kPinned, bytes}; }

/// Records what `enqueue(stream)` launches, to be replayed by cudaGraphLaunch.
template <typename Enqueue>
[[nodiscard]] GraphExec capture(cudaStream_t stream, Enqueue enqueue) {
  FACE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaGraph_t raw = nullptr;
  try {
    enqueue(stream);
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(stream, &raw));
    if (raw != nullptr) static_cast<void>(cudaGraphDestroy(raw));
    throw;
  }
  FACE_CUDA(cudaStreamEndCapture(stream, &raw));
  const Owner<cudaGraph_t, &cudaGraphDestroy> graph(raw);
  cudaGraphExec_t executable = nullptr;
  FACE_CUDA(cudaGraphInstantiateWithFlags(&executable, graph.get(), 0));
  return GraphExec(executable);
}

}  // namespace face::cuda
