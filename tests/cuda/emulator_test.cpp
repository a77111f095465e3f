// SPDX-License-Identifier: MIT
// What the emulator computes, and the mistakes it has to catch.
#include <gmock/gmock.h>

#include "tests/cuda/emulated.h"

namespace face::cuda {
namespace {

using testing::HasSubstr;

enum class Bug { kNone, kNoBarrier, kWriteAfterRead, kPartOfBlock, kTwoPlaces, kBehind };

/// Sum over a block by shuffles and shared memory, then a second use of the same storage.
__global__ void block_sum_kernel(const float* x, float* out, Bug bug) {
  FACE_SHARED(float, part, [4]);
  const int thread = threadIdx.x, warp = thread / 32;
  float sum = x[thread];
  for (int o = 16; o > 0; o /= 2) sum += __shfl_down_sync(~0u, sum, o);
  if (thread % 32 == 0) part[warp] = sum;
  if (bug == Bug::kPartOfBlock && thread < 64) __syncthreads();
  if (bug == Bug::kTwoPlaces) {
    if (warp == 0) {  // NOLINT(bugprone-branch-clone): two barriers on purpose
      __syncthreads();
    } else {
      __syncthreads();
    }
  }
  if (bug != Bug::kNoBarrier) __syncthreads();
  const float total = part[0] + part[1] + part[2] + part[3];
  if (bug != Bug::kWriteAfterRead) __syncthreads();
  if (thread % 32 == 0) part[warp + (bug == Bug::kBehind && warp == 3 ? 1 : 0)] = total * warp;
  __syncthreads();
  if (thread % 32 == 0) out[1 + warp] = total;
  if (thread == 0) out[0] = part[3];
}

class BlockSum : public Emulated {
 protected:
  /// True if the kernel answers rightly.
  bool run(Bug bug) {
    std::vector<float> x(128);
    for (int i = 0; i < 128; ++i) x[i] = static_cast<float>(i);
    float* out = device(std::vector<float>(5));
    EXPECT_EQ(launch(block_sum_kernel, 1, 128, 0, nullptr, device(x), out, bug), cudaSuccess);
    text_ = fault();
    bool right = text_ == "no error" && out[0] == 3 * 8128.f;
    for (int i = 1; i < 5; ++i) right = right && out[i] == 8128.f;
    return right;
  }
  std::string text_;
};

TEST_F(BlockSum, IsRightInEveryOrder) {
  for (const auto order : {emu::Order::kSequential, emu::Order::kReverse, emu::Order::kRandom})
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      emu::config().order = order;
      emu::config().seed = seed;
      EXPECT_TRUE(run(Bug::kNone)) << text_;
    }
}

TEST_F(BlockSum, MissingBarriersShowInEveryRandomOrder) {
  emu::config().order = emu::Order::kRandom;
  for (const Bug bug : {Bug::kNoBarrier, Bug::kWriteAfterRead})
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      emu::config().seed = seed;
      EXPECT_FALSE(run(bug)) << "seed " << seed;
    }
}

TEST_F(BlockSum, BarrierThatPartOfTheBlockSkips) {
  EXPECT_FALSE(run(Bug::kPartOfBlock));
  EXPECT_THAT(text_, HasSubstr("divergent __syncthreads: others wait at "));
  EXPECT_THAT(text_, HasSubstr("emulator_test.cpp:"));
}

TEST_F(BlockSum, BarrierReachedFromTwoPlaces) {
  EXPECT_FALSE(run(Bug::kTwoPlaces));
  EXPECT_THAT(text_, HasSubstr("divergent __syncthreads: others wait at "));
}

#if !defined(__SANITIZE_ADDRESS__)  // which stops the process at the very write
TEST_F(BlockSum, WriteBehindAnArray) {
  EXPECT_FALSE(run(Bug::kBehind));
  EXPECT_THAT(text_, HasSubstr("write behind an array in shared memory, 0 bytes past its end"));
}
#endif

enum class Sharing { kNothing, kWords, kReads, kAtomics };

/// Each block writes its own 32 words of `out`; what else its neighbours have of it `sharing` says.
__global__ void neighbours_kernel(float* out, int* count, Sharing sharing) {
  FACE_SHARED(float, own, [32]);
  const int lane = threadIdx.x, i = blockIdx.x * 32 + lane;
  own[31 - lane] = 1.f;
  __syncthreads();
  out[i] = own[lane];
  if (sharing == Sharing::kAtomics) atomicAdd(count, 1);
  if (sharing == Sharing::kWords && lane == 31 && blockIdx.x + 1 < gridDim.x) out[i + 1] = 1.f;
  if (sharing == Sharing::kReads && lane == 0 && blockIdx.x > 0 && out[i - 1] > 2.f) out[i] = 2.f;
}

class Neighbours : public Emulated {
 protected:
  void run(Sharing sharing) {
    constexpr int kBlocks = 9;
    int* count = device(std::vector<int>(1));
    for (const auto order : {emu::Order::kSequential, emu::Order::kRandom, emu::Order::kReverse}) {
      emu::config().order = order;
      float* out = poisoned<float>(size_t{kBlocks} * 32);
      ASSERT_EQ(launch(neighbours_kernel, kBlocks, 32, 0, nullptr, out, count, sharing),
                cudaSuccess);
      ASSERT_EQ(fault(), "no error");
      for (int i = 0; i < kBlocks * 32; ++i) EXPECT_EQ(out[i], 1.f);
    }
    EXPECT_EQ(*count, sharing == Sharing::kAtomics ? 3 * kBlocks * 32 : 0);
  }
};

TEST_F(Neighbours, ShareNothingOrAtomics) {
  run(Sharing::kNothing);
  run(Sharing::kAtomics);
}
// What only ThreadSanitizer sees, and has to: scripts/check_races.sh.
TEST_F(Neighbours, BothWriteAWord) { run(Sharing::kWords); }
TEST_F(Neighbours, OneReadsWhatTheOtherWrites) { run(Sharing::kReads); }

__global__ void shuffle_kernel(int* out) {
  const int lane = threadIdx.x;
  out[lane] = __shfl_xor_sync(~0u, lane, 5);
  out[32 + lane] = __shfl_up_sync(~0u, lane, 3);
  out[64 + lane] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  out[96 + lane] = lane < 8 ? __shfl_sync(0xffu, lane, 7) : -1;
}

using Emulator = Emulated;

TEST_F(Emulator, ShufflesAndVotes) {
  int* out = device(std::vector<int>(128));
  ASSERT_EQ(launch(shuffle_kernel, 1, 32, 0, nullptr, out), cudaSuccess);
  ASSERT_EQ(fault(), "no error");
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(out[i], i ^ 5);
    EXPECT_EQ(out[32 + i], i < 3 ? i : i - 3);
    EXPECT_EQ(static_cast<uint32_t>(out[64 + i]), 0x49249249u);
    EXPECT_EQ(out[96 + i], i < 8 ? 7 : -1);
  }
}

__global__ void disagree_kernel() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __ballot_sync(~0u, true);
  }
}

TEST_F(Emulator, LanesThatMeetInDifferentOperations) {
  ASSERT_EQ(launch(disagree_kernel, 1, 32, 0, nullptr), cudaSuccess);
  EXPECT_THAT(fault(), HasSubstr("lanes meet in different operations"));
}

/// C(16x8) = A(16x16) * B(16x8): A by ldmatrix, B as its transpose by ldmatrix.
__global__ void matrix_kernel(const __half* a, const __half* b, float* c, bool in_halves,
                              bool wait) {
  FACE_DYNAMIC_SHARED(shared);
  const int lane = threadIdx.x;
  cp_async_16(shared + lane * 16, a + lane * 8, true);
  if (lane < 16) cp_async_16(shared + 512 + lane * 16, b + lane * 8, true);
  cp_async_commit();
  if (wait) cp_async_wait<0>();
  __syncwarp();
  uint32_t fa[4], fb[2];
  ldmatrix_x4(fa, shared + lane % 16 * 32 + lane / 16 * 16);
  ldmatrix_x2(fb, shared + 512 + lane % 8 * 32 + lane / 8 % 2 * 16);
  float d[4] = {0.f, 0.f, 0.f, 0.f};
  if (in_halves) {
    mma_m16n8k8(d, fa[0], fa[1], fb[0]);
    mma_m16n8k8(d, fa[2], fa[3], fb[1]);
  } else {
    mma_m16n8k16(d, fa, fb[0], fb[1]);
  }
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}

class Matrix : public Emulated {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    for (int i = 0; i < 256; ++i) a_.push_back(__float2half_rn(static_cast<float>(i * 37 % 64)));
    for (int i = 0; i < 128; ++i) b_.push_back(__float2half_rn(static_cast<float>(i * 53 % 32)));
  }
  std::vector<__half> a_, b_;  // (16, 16) and, transposed, (8, 16): small integers, sums exact
};

TEST_F(Matrix, MultipliesByEitherInstruction) {
  for (const bool in_halves : {false, true}) {
    float* c = poisoned<float>(128);
    ASSERT_EQ(
        launch(matrix_kernel, 1, 32, 768, nullptr, device(a_), device(b_), c, in_halves, true),
        cudaSuccess);
    ASSERT_EQ(fault(), "no error");
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 8; ++n) {
        float want = 0.f;
        for (int k = 0; k < 16; ++k)
          want += __half2float(a_[m * 16 + k]) * __half2float(b_[n * 16 + k]);
        EXPECT_EQ(c[m * 8 + n], want) << m << "," << n;
      }
  }
}

TEST_F(Matrix, CopyThatNobodyWaitsFor) {
  float* c = poisoned<float>(128);
  ASSERT_EQ(launch(matrix_kernel, 1, 32, 768, nullptr, device(a_), device(b_), c, false, false),
            cudaSuccess);
  EXPECT_THAT(fault(), HasSubstr("cp.async never waited for"));
}

__global__ void increment_kernel(float* x) { x[threadIdx.x] += 1.f; }

TEST_F(Emulator, WorkRunsWhenSomebodyWaitsAndEventsOrderStreams) {
  emu::config().order = emu::Order::kRandom;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    emu::config().seed = seed;
    cudaStream_t a, b;
    cudaEvent_t event;
    ASSERT_EQ(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    float* x = device(std::vector<float>(4, 1.f));
    float* y = poisoned<float>(4);
    launch(increment_kernel, 1, 4, 0, a, x);
    EXPECT_EQ(x[0], 1.f) << "queued, not run";
    cudaEventRecord(event, a);
    cudaStreamWaitEvent(b, event);
    cudaMemcpyAsync(y, x, 16, cudaMemcpyDeviceToDevice, b);
    EXPECT_EQ(cudaStreamSynchronize(b), cudaSuccess);
    EXPECT_EQ(y[3], 2.f);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaEventDestroy(event);
  }
}

TEST_F(Emulator, GraphsReplay) {
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  float* x = device(std::vector<float>(4, 0.f));
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  launch(increment_kernel, 1, 4, 0, stream, x);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiateWithFlags(&executable, graph, 0), cudaSuccess);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(x[2], 3.f);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(Emulator, MemoryIsPoisonedCountedAndCopiesAreChecked) {
  const size_t before = emu::allocated();
  void* p = nullptr;
  ASSERT_EQ(cudaMalloc(&p, 64), cudaSuccess);
  EXPECT_EQ(emu::allocated(), before + 64);
  EXPECT_NE(*static_cast<float*>(p), *static_cast<float*>(p)) << "NaN";
  float host[32] = {};
  EXPECT_EQ(cudaMemcpyAsync(p, host, 65, cudaMemcpyHostToDevice, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, p, 65, cudaMemcpyDeviceToHost, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(emu::allocated(), before);
}

TEST_F(Emulator, StickyErrorsStay) {
  emu::inject("cudaStreamSynchronize", 2, cudaErrorIllegalAddress, true);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
}

TEST(Half, RoundTripsAndRounds) {
  for (uint32_t i = 0; i < 0x7c00; ++i)
    ASSERT_EQ(half_from_float(float_from_half(static_cast<uint16_t>(i))), i);
  EXPECT_EQ(half_from_float(65504.f), 0x7bff);
  EXPECT_EQ(half_from_float(65520.f), 0x7c00);
  EXPECT_EQ(half_from_float(-1e9f), 0xfc00);
  EXPECT_EQ(half_from_float(1.f + 1.f / 2048), 0x3c00) << "a tie goes to the even one";
  EXPECT_EQ(half_from_float(1.f + 3.f / 2048), 0x3c02);
  EXPECT_EQ(half_from_float(2.9802322387695312e-8f), 0) << "half the smallest: to even";
  EXPECT_GT(half_from_float(NAN), 0x7c00);
}

}  // namespace
}  // namespace face::cuda
