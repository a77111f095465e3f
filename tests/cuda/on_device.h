// SPDX-License-Identifier: MIT
// tests/cuda/on_device.h - a fixture for tests that hold on a GPU as they do on the emulator. Each
// such test is built twice, as cuda_* against the emulator and, by nvcc, as gpu_*.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/gpu.h"

namespace face::cuda {

/// In what order the emulator runs the warps of a block. A GPU has an order of its own.
enum class Order { kSequential, kRandom, kReverse };
void set_order(Order order, uint64_t seed = 1);

/// A GPU as far as the engine's choices depend on it.
struct Generation {
  std::string name;
  int major, minor, max_shared;
  [[nodiscard]] bool tensor_cores() const { return major * 10 + minor >= 75; }
};
/// What to hold a test on: several generations on the emulator, the GPU that is there else.
std::vector<Generation> generations();
/// Makes the emulator such a device; on a GPU it is one already.
void become(const Generation& generation);

/// Bytes of device memory in use: exactly what was allocated on the emulator; on a GPU whatever the
/// driver says, in steps of its own.
size_t used_memory();
extern const bool kExactMemory;
/// How far a device's exp() may lead a score away from the host's.
extern const float kExpError;

/// Why nothing can run here, "" if it can.
std::string no_device();
/// NaN bytes that kernels and, after a synchronisation, the host reach by the same pointer: device
/// memory of the emulator, pinned memory beside a GPU.
void* allocate(size_t bytes);
void release(void* memory);
void begin_test();
/// Forgets orders, generations and errors since begin_test().
void end_test();

class OnDevice : public testing::Test {
 protected:
  /// Skips where no GPU is, or fails with FACE_REQUIRE_CUDA=1.
  void SetUp() override;
  void TearDown() override {
    end_test();
    for (void* memory : owned_) release(memory);
  }
  /// For SetUp() of derived fixtures: it returns although the test ends.
  [[nodiscard]] static bool ended() { return IsSkipped() || HasFatalFailure(); }

  template <typename T>
  T* device(const std::vector<T>& values) {
    T* memory = poisoned<T>(values.size());
    std::memcpy(static_cast<void*>(memory), values.data(), values.size() * sizeof(T));
    return memory;
  }
  /// Memory of NaN bytes.
  template <typename T>
  T* poisoned(size_t count) {
    owned_.push_back(allocate(count * sizeof(T)));
    return static_cast<T*>(owned_.back());
  }

  /// Runs what was launched. The text of its fault; "no error" without one.
  static std::string fault() {
    const cudaError_t error = cudaDeviceSynchronize();
    return error == cudaSuccess ? "no error" : cudaGetErrorString(error);
  }

 private:
  std::vector<void*> owned_;
};

}  // namespace face::cuda
