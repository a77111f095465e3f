// SPDX-License-Identifier: MIT
// The CUDA engine on machines that only the emulator can be: no driver, no memory, a device lost;
// and how much it allocates, to the byte.
#include <gmock/gmock.h>

#include "engine/cuda/cuda_backend.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda/every_op.h"

namespace face {
namespace {

using test::error_of;
using test::EveryOp;
using test::random_input;
using testing::HasSubstr;

using CudaFaults = cuda::Emulated;

TEST_F(CudaFaults, MemoryIsAllocatedAtStartAndGivenBack) {
  const EveryOp net;
  const size_t before = cuda::emu::allocated();
  {
    const auto backend = make_cuda_backend(0);
    const auto executable = backend->compile(net.network, {.max_batch = 4});
    const size_t started = cuda::emu::allocated();
    EXPECT_EQ(started - before, executable->activation_bytes() + executable->weight_bytes());
    const std::vector<float> input = random_input(size_t(4) * 3 * 24 * 20);
    for (const int batch : {1, 4, 2, 3}) executable->run(input.data(), batch);
    EXPECT_EQ(cuda::emu::allocated(), started);
  }
  EXPECT_EQ(cuda::emu::allocated(), before);
}

TEST_F(CudaFaults, StartWithoutDriverOrGpuNamesDriverToolkitAndRemedy) {
  const auto start = [](int index) {
    return error_of([&] { static_cast<void>(make_cuda_backend(index)); }, ErrorKind::kDevice);
  };
  cuda::emu::machine().driver = cudaErrorInsufficientDriver;
  EXPECT_THAT(start(0), HasSubstr("cuda:0: no usable GPU (cudaErrorInsufficientDriver); no NVIDIA "
                                  "driver, this program is built with CUDA 13.0; install"));
  cuda::emu::machine().driver = cudaSuccess;
  EXPECT_THAT(start(3), HasSubstr("cuda:3: this machine has 1 GPU(s); the NVIDIA driver supports "
                                  "CUDA 13.0"));
  cuda::emu::machine().devices = 0;
  EXPECT_THAT(start(0), HasSubstr("--device cpu"));
}

TEST_F(CudaFaults, OutOfMemoryAndWeightsBeyondFp16AreNamed) {
  EveryOp net;
  const auto backend = make_cuda_backend(0);
  cuda::emu::machine().memory = 100'000;
  EXPECT_THAT(error_of([&] { static_cast<void>(backend->compile(net.network, {.max_batch = 64})); },
                       ErrorKind::kDevice),
              HasSubstr("cudaErrorMemoryAllocation, cudaErrorMemoryAllocation; lower the batch"));
  cuda::emu::machine().memory = size_t{8} << 30;
  net.arrays.front()[0] = 1.f;
  std::vector<float> huge(net.network.ops[0].weights.begin(), net.network.ops[0].weights.end());
  huge[7] = 7e4f;
  net.network.ops[0].weights = huge;
  EXPECT_THAT(
      error_of([&] { static_cast<void>(backend->compile(net.network, {})); }, ErrorKind::kBadModel),
      HasSubstr("op 'conv0': weight 70000.000000 is no finite fp16 number"));
  EXPECT_NO_THROW(
      static_cast<void>(backend->compile(net.network, {.precision = Precision::kFp32})));
  EXPECT_THAT(
      error_of(
          [&] {
            static_cast<void>(backend->compile(net.network, {.precision = Precision::kBf16}));
          },
          ErrorKind::kInvalidArgument),
      HasSubstr("bf16"));
}

TEST_F(CudaFaults, AStickyFaultIsADeviceLost) {
  const EveryOp net;
  const auto backend = make_cuda_backend(0);
  const auto executable = backend->compile(net.network, {.max_batch = 2});
  const std::vector<float> input = random_input(size_t(2) * 3 * 24 * 20);
  cuda::emu::inject("cudaStreamSynchronize", 1, cudaErrorIllegalAddress, true);
  EXPECT_THAT(error_of([&] { executable->run(input.data(), 2); }, ErrorKind::kDeviceLost),
              HasSubstr("restart the process"));
  error_of([&] { executable->run(input.data(), 1); }, ErrorKind::kDeviceLost);
}

}  // namespace
}  // namespace face
