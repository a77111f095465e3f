// SPDX-License-Identifier: MIT
#include "bench/gpu_network.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "engine/cuda/launch_timer.h"
#include "kernels/math/half.h"

namespace face::bench {
namespace {

using cuda::ElementType;

constexpr double kNeverHopeless = std::numeric_limits<double>::infinity();

size_t bytes_of(ElementType type) { return type == ElementType::kHalf ? 2 : 4; }

double volume(const Shape& s) { return double(s.channels) * s.height * s.width; }

double median_us(const cuda::Launch& launch, cudaStream_t stream) {
  return 1e3 * cuda::median_ms(launch, kNeverHopeless, stream);
}

}  // namespace

GpuWork work_of(const Op& op, const std::vector<Shape>& shapes, int batch, size_t element_bytes) {
  double elements = volume(shapes[op.input]) + volume(shapes[op.output]);
  if (op.addend != kNoTensor) elements += volume(shapes[op.addend]);
  elements = elements * batch + static_cast<double>(op.weights.size());
  return {2e-9 * static_cast<double>(mac_count(op, shapes)) * batch,
          1e-6 * elements * static_cast<double>(element_bytes)};
}

double GpuPeaks::limit_us(const GpuWork& work) const {
  const double math = tflops > 0 ? 1e3 * work.gflop / tflops : 0;
  const double memory = gbytes_s > 0 ? 1e3 * work.mbytes / gbytes_s : 0;
  return std::max(math, memory);
}

int flop_per_cycle(int major, int minor) {
  switch (major) {
    case 7:
      return 1024;
    case 8:
      return minor == 0 ? 2048 : 1024;
    case 9:
      return 4096;
    case 10:
      return 8192;
    case 12:
      return 1024;
    default:
      return 0;
  }
}

GpuPeaks measure_peaks(const cuda::Device& device, size_t bytes) {
  const cuda::Memory from = cuda::device_memory(bytes), to = cuda::device_memory(bytes);
  const double us = time_graph([&](cudaStream_t stream) {
    FACE_CUDA(
        cudaMemcpyAsync(to.as<char>(), from.as<char>(), bytes, cudaMemcpyDeviceToDevice, stream));
  });
  const bool geforce = device.name.find("GeForce") != std::string::npos;
  const double khz = cuda::device_attribute(cudaDevAttrClockRate, device.index);
  const double flop = flop_per_cycle(device.major, device.minor) / (geforce ? 2.0 : 1.0);
  return {1e-9 * khz * device.multiprocessors * flop, 2e-3 * static_cast<double>(bytes) / us};
}

double time_graph(const std::function<void(cudaStream_t)>& enqueue) {
  const cuda::Stream stream = cuda::make_stream();
  return median_us([&](int, cudaStream_t s) { enqueue(s); }, stream.get());
}

std::vector<GpuLayer> time_layers(const cuda::DeviceNetwork& network, int batch) {
  const cuda::Stream stream = cuda::make_stream();
  network.enqueue(batch, stream.get());  // so that every tensor holds numbers
  FACE_CUDA(cudaStreamSynchronize(stream.get()));
  std::vector<GpuLayer> layers;
  const std::vector<Op>& ops = network.network().ops;
  for (size_t i = 0; i < ops.size(); ++i) {
    const double us =
        median_us([&](int, cudaStream_t s) { network.enqueue_op(i, batch, s); }, stream.get());
    layers.push_back({ops[i].name, network.implementation(i, batch), us,
                      work_of(ops[i], network.shapes(), batch, bytes_of(network.type()))});
  }
  return layers;
}

void fill_input(const cuda::DeviceNetwork& network, int batch) {
  const Shape shape = network.shape(network.network().input.tensor);
  const int stride = cuda::padded(shape.channels);
  const size_t count = size_t(batch) * shape.height * shape.width * stride;
  const size_t element = bytes_of(network.type());
  const cuda::Memory host = cuda::pinned_memory(count * element);
  std::mt19937 generator(1);
  for (size_t i = 0; i < count; ++i) {
    const bool padding = static_cast<int>(i % stride) >= shape.channels;
    const float value = padding ? 0.f : std::uniform_real_distribution<float>(-1, 1)(generator);
    const uint16_t half = half_from_float(value);
    std::memcpy(host.as<char>(i * element), element == 2 ? static_cast<const void*>(&half) : &value,
                element);
  }
  FACE_CUDA(cudaMemcpyAsync(network.input(), host.as<char>(), count * element,
                            cudaMemcpyHostToDevice, nullptr));
  FACE_CUDA(cudaDeviceSynchronize());
}

}  // namespace face::bench
