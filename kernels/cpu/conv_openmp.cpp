// SPDX-License-Identifier: MIT
// kernels/cpu/conv_openmp.cpp - teams of OpenMP threads.
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "kernels/cpu/conv.h"

namespace face::cpu {
namespace {

/// A part of the tasks, each taken once. On a cache line of its own.
struct alignas(64) Share {
  std::atomic<int> next;
  int end;
};

constexpr int kMostShares = 64;

/// A thread takes tasks of its own share first: neighbouring tasks of one layer after the other
/// work on the same part of a picture, which so stays in one core's cache. Then it helps with
/// others.
void run_team(int team, int tasks, Parallel::Body body, const void* context) {
  std::array<Share, kMostShares> shares;
  const int count = std::min(team, kMostShares);
  for (int i = 0; i < count; ++i) {
    shares[i].next.store(static_cast<int>(int64_t{tasks} * i / count), std::memory_order_relaxed);
    shares[i].end = static_cast<int>(int64_t{tasks} * (i + 1) / count);
  }
#pragma omp parallel num_threads(team)
  {
    const int thread = omp_get_thread_num();
    for (int i = 0; i < count; ++i) {
      Share& share = shares[(thread + i) % count];
      for (int task; (task = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;)
        body(context, task, thread);
    }
  }
}

}  // namespace

Parallel openmp_parallel(int threads) {
  return threads <= 1 ? serial_parallel() : Parallel{threads, &run_team};
}

}  // namespace face::cpu
