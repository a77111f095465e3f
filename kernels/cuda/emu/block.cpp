// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/block.h"

#include <cstdlib>
#include <memory>

#include "kernels/cuda/emu/half.h"
#include "kernels/cuda/emu/scheduler.h"

namespace face::cuda::emu {

const float* half_values() {
  static const auto table = [] {
    auto values = std::make_unique<float[]>(1 << 16);
    for (uint32_t i = 0; i < 1 << 16; ++i) values[i] = float_from_half(static_cast<uint16_t>(i));
    return values;
  }();
  return table.get();
}

Config& config() {
  static Config instance = [] {
    Config c;
    if (const char* seed = std::getenv("FACE_EMU_SEED")) {
      c.order = Order::kRandom;
      c.seed = std::strtoull(seed, nullptr, 10);
    }
    return c;
  }();
  return instance;
}

void run_grid(const Launch& launch) {
  const size_t threads = size_t{launch.block.x} * launch.block.y * launch.block.z;
  const dim3& g = launch.grid;
  if (threads < 1 || threads > kMaxThreads)
    throw KernelError("a block of " + std::to_string(threads) + " threads");
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
    throw KernelError("a grid of " + text(uint3{g.x, g.y, g.z}) + " blocks");
  if (launch.dynamic_shared > config().max_shared)
    throw KernelError(std::to_string(launch.dynamic_shared) + " bytes of dynamic shared memory");
  scheduler().run(launch);
}

void barrier(Site site) { scheduler().barrier(site); }
void collective(uint32_t mask, void (*operation)(uint32_t, void**), void* operand, Site site) {
  scheduler().collective(mask, operation, operand, site);
}
void warp_barrier(uint32_t mask, Site site) { scheduler().warp_barrier(mask, site); }
void fail(const char* message) {
  scheduler().fail([&] { return std::string(message); });
}
int lane() { return scheduler().lane(); }
void* shared_array(const void* key, size_t size) { return scheduler().shared_array(key, size); }
void* dynamic_shared() { return scheduler().shared().dynamic(); }
bool in_shared(const void* p, size_t size) { return scheduler().shared().contains(p, size); }

void cp_async(void* to, const void* from, uint32_t size, uint32_t valid) {
  if (!in_shared(to, size)) fail("cp.async: destination outside shared memory");
  if (((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) & (size - 1)) != 0)
    scheduler().fail(
        [&] { return "cp.async: address not aligned to " + std::to_string(size) + " bytes"; });
  scheduler().current().copies.add(to, from, size, valid);
}

void cp_async_commit() { scheduler().current().copies.commit(); }
void cp_async_wait(uint32_t keep_groups) { scheduler().current().copies.wait(keep_groups); }

}  // namespace face::cuda::emu
