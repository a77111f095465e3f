// SPDX-License-Identifier: MIT
// kernels/cpu/conv_openmp.cpp - teams of OpenMP threads.
#include <omp.h>

#include "kernels/cpu/conv.h"

namespace face::cpu {

Parallel openmp_parallel(int threads) {
  if (threads <= 1) return serial_parallel();
  return {threads, [](int team, int tasks, Parallel::Body body, const void* context) {
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
            for (int task = 0; task < tasks; ++task) body(context, task, omp_get_thread_num());
          }};
}

}  // namespace face::cpu
