// SPDX-License-Identifier: MIT
// What bench/gpu_bench reports of a network: the work it counts and that every layer gets a time.
// Times on the emulator mean nothing.
#include <gmock/gmock.h>

#include <cmath>

#include "bench/gpu_network.h"
#include "tests/cuda/every_op.h"
#include "tests/cuda/on_device.h"

namespace face::bench {
namespace {

using GpuBench = cuda::OnDevice;

TEST(GpuWork, CountsWhatAConvolutionMustDo) {
  const test::EveryOp net;
  const std::vector<Shape> shapes = infer_shapes(net.network, 24, 20);
  // conv0: 3x24x20 -> 28x12x10, 3x3; conv3, the fourth: 28 -> 28 at 12x10, 1x1, and an addend.
  const GpuWork stem = work_of(net.network.ops[0], shapes, 5, 2);
  EXPECT_DOUBLE_EQ(stem.gflop, 2e-9 * 5 * 12 * 10 * 28 * 3 * 9);
  EXPECT_DOUBLE_EQ(stem.mbytes, 2e-6 * (5 * (3 * 24 * 20 + 28 * 12 * 10) + 28 * 3 * 9));
  const GpuWork added = work_of(net.network.ops[3], shapes, 1, 4);
  EXPECT_DOUBLE_EQ(added.mbytes, 4e-6 * (3 * 28 * 12 * 10 + 28 * 28));
}

TEST(GpuWork, TheSlowerOfArithmeticAndMemoryLimits) {
  const GpuPeaks peaks{.tflops = 2, .gbytes_s = 1000};
  EXPECT_DOUBLE_EQ(peaks.limit_us({.gflop = 4, .mbytes = 1}), 2000);
  EXPECT_DOUBLE_EQ(peaks.limit_us({.gflop = 0.001, .mbytes = 3}), 3);
}

TEST_F(GpuBench, EveryLayerHasATimeAndANameForWhatComputesIt) {
  const test::EveryOp net;
  const cuda::Device device = cuda::describe_device(0);
  const auto type = device.major >= 7 ? cuda::ElementType::kHalf : cuda::ElementType::kFloat;
  const cuda::DeviceNetwork network(device, net.network, 24, 20, 2, type);
  fill_input(network, 2);
  const std::vector<GpuLayer> layers = time_layers(network, 2);
  ASSERT_EQ(layers.size(), net.network.ops.size());
  for (const GpuLayer& layer : layers) {
    EXPECT_GT(layer.us, 0) << layer.name;
    EXPECT_TRUE(std::isfinite(layer.us)) << layer.name;
    EXPECT_FALSE(layer.implementation.empty()) << layer.name;
    EXPECT_GT(layer.work.mbytes, 0) << layer.name;
  }
  EXPECT_GT(time_graph([&](cudaStream_t stream) { network.enqueue(2, stream); }), 0);
}

TEST_F(GpuBench, TheDevicesLimitsAreKnown) {
  const GpuPeaks peaks = measure_peaks(cuda::describe_device(0), 1 << 20);
  EXPECT_GT(peaks.tflops, 0);
  EXPECT_GT(peaks.gbytes_s, 0);
}

}  // namespace
}  // namespace face::bench
