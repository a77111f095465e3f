// SPDX-License-Identifier: MIT
// kernels/cuda/emu/runtime_state.h - what the functions of runtime.h share: memory and errors
// (runtime.cpp), streams, events and graphs (streams.cpp).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/cuda/emu/runtime.h"

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

Runtime& runtime();
extern thread_local int current_device;

/// What a call answers before it does anything.
cudaError_t enter(const char* function);
/// The sticky error, if there is one.
cudaError_t status();

/// A function of the CUDA runtime: `body()` under the lock, unless enter() has an error.
template <typename Body>
cudaError_t call(const char* function, Body body) {
  const std::lock_guard lock(runtime().mutex);
  if (const cudaError_t error = enter(function); error != cudaSuccess) return error;
  const cudaError_t error = body();
  if (error != cudaSuccess) runtime().last = error;
  return error;
}

/// Runs queued work, streams in a seeded order, until the condition holds.
void pump(const std::function<bool()>& until);
bool all_empty();

}  // namespace face::cuda::emu
