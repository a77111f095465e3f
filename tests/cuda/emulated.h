// SPDX-License-Identifier: MIT
// tests/cuda/emulated.h - a fixture that owns emulated device memory and restores the emulator.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/gpu.h"

namespace face::cuda {

class Emulated : public testing::Test {
 protected:
  void SetUp() override {
    saved_ = emu::config();
    machine_ = emu::machine();
  }
  void TearDown() override {
    emu::config() = saved_;
    emu::machine() = machine_;
    emu::reset();
    for (void* p : owned_) cudaFree(p);
  }

  template <typename T>
  T* device(const std::vector<T>& values) {
    void* p = nullptr;
    EXPECT_EQ(cudaMalloc(&p, values.size() * sizeof(T)), cudaSuccess);
    std::memcpy(p, values.data(), values.size() * sizeof(T));
    owned_.push_back(p);
    return static_cast<T*>(p);
  }
  /// Device memory of NaN bytes.
  template <typename T>
  T* poisoned(size_t count) {
    void* p = nullptr;
    EXPECT_EQ(cudaMalloc(&p, count * sizeof(T)), cudaSuccess);
    owned_.push_back(p);
    return static_cast<T*>(p);
  }

  /// Runs what was launched. The text of its fault; "no error" without one.
  static std::string fault() {
    const cudaError_t error = cudaDeviceSynchronize();
    return error == cudaSuccess ? "no error" : cudaGetErrorString(error);
  }

 private:
  emu::Config saved_;
  emu::Machine machine_;
  std::vector<void*> owned_;
};

}  // namespace face::cuda
