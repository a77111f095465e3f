// SPDX-License-Identifier: MIT
// tests/cuda/on_device.h on the emulator.
#include "tests/cuda/on_device.h"

namespace face::cuda {
namespace {

struct Saved {
  emu::Config config;
  emu::Machine machine;
};
Saved& saved() {
  static Saved before;
  return before;
}

}  // namespace

const bool kExactMemory = true;
const float kExpError = 0.f;

void set_order(Order order, uint64_t seed) {
  switch (order) {
    case Order::kSequential:
      emu::config().order = emu::Order::kSequential;
      break;
    case Order::kRandom:
      emu::config().order = emu::Order::kRandom;
      break;
    case Order::kReverse:
      emu::config().order = emu::Order::kReverse;
      break;
  }
  emu::config().seed = seed;
}

std::vector<Generation> generations() {
  return {{"sm_61", 6, 1, 48 << 10},
          {"sm_70", 7, 0, 96 << 10},
          {"sm_75", 7, 5, 64 << 10},
          {"sm_90", 9, 0, 227 << 10}};
}

void become(const Generation& generation) {
  emu::machine().major = generation.major;
  emu::machine().minor = generation.minor;
  emu::machine().max_shared = generation.max_shared;
}

size_t used_memory() { return emu::allocated(); }

std::string no_device() { return ""; }

void* allocate(size_t bytes) {
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, bytes), cudaSuccess);
  return memory;
}

void release(void* memory) { cudaFree(memory); }

void begin_test() { saved() = {emu::config(), emu::machine()}; }

void end_test() {
  emu::config() = saved().config;
  emu::machine() = saved().machine;
  emu::reset();
}

}  // namespace face::cuda
