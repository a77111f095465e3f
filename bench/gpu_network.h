// SPDX-License-Identifier: MIT
// bench/gpu_network.h - how long networks take on a GPU, layer by layer, beside what the GPU could
// do at best. No host, no upload: launches in CUDA graphs, timed by the device's events.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/cuda/device_network.h"

namespace face::bench {

/// What an operation has to do at least: float operations; bytes of inputs, weights and output,
/// each moved once.
struct GpuWork {
  double gflop = 0, mbytes = 0;
};
[[nodiscard]] GpuWork work_of(const Op& op, const std::vector<Shape>& shapes, int batch,
                              size_t element_bytes);

struct GpuPeaks {
  double tflops = 0;    // dense products of halves, float32 sums: processors x clock x architecture
  double gbytes_s = 0;  // a copy within device memory, bytes read and written
  /// The least microseconds for some work.
  [[nodiscard]] double limit_us(const GpuWork& work) const;
};
/// FLOP that a multiprocessor's tensor cores do in a cycle; GeForce does half. 0: not known.
[[nodiscard]] int flop_per_cycle(int major, int minor);
/// Formula for the arithmetic, a copy of `bytes` for the memory. Errors: kDevice.
[[nodiscard]] GpuPeaks measure_peaks(const cuda::Device& device, size_t bytes);

struct GpuLayer {
  std::string name, implementation;
  double us = 0;
  GpuWork work;
};
/// Every operation on its own, in a row of the same: what it reads may lie in the cache, so a time
/// below limit_us() is possible. REQUIRES: `batch` is a bucket (batch_buckets()).
[[nodiscard]] std::vector<GpuLayer> time_layers(const cuda::DeviceNetwork& network, int batch);

/// Microseconds of what `enqueue` launches, as one graph.
[[nodiscard]] double time_graph(const std::function<void(cudaStream_t)>& enqueue);

/// Random numbers into the network's input.
void fill_input(const cuda::DeviceNetwork& network, int batch);

}  // namespace face::bench
