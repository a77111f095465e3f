// SPDX-License-Identifier: MIT
// bench/memory_bandwidth.cpp - times memcpy() of large buffers.
#include "bench/memory_bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels/cpu/conv.h"

namespace face::bench {

double memory_bandwidth_gbs(int threads) {
  constexpr size_t kBytes = size_t{128} << 20;  // of all threads together, each way
  const size_t share = kBytes / static_cast<size_t>(threads);
  const cpu::Parallel parallel = cpu::openmp_parallel(threads);
  std::vector<std::vector<char>> from(static_cast<size_t>(threads)), to = from;
  parallel(threads, [&](int task, int) {  // each buffer near the core that uses it
    from[static_cast<size_t>(task)].assign(share, 1);
    to[static_cast<size_t>(task)].assign(share, 2);
  });
  double best = 0;
  for (int run = 0; run < 8; ++run) {
    const auto start = std::chrono::steady_clock::now();
    parallel(threads, [&](int task, int) {
      const auto i = static_cast<size_t>(task);
      std::memcpy(to[i].data(), from[i].data(), share);
      volatile char sink = to[i][share / 2];
      static_cast<void>(sink);
    });
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    const double bytes = 2. * static_cast<double>(share) * threads;
    best = std::max(best, bytes / time.count() / 1e9);
  }
  return best;
}

}  // namespace face::bench
