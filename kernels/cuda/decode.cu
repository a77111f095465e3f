// SPDX-License-Identifier: MIT
#include <cfloat>

#include "kernels/cuda/decode.h"
#include "kernels/cuda/tensor.cuh"
#include "kernels/math/anchors.h"
#include "kernels/math/iou.h"

namespace face::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kDigits = 256;  // of the radix selection: 8 bits at a time

__device__ __forceinline__ float value_at(const float* p) { return *p; }
__device__ __forceinline__ float value_at(const __half* p) { return __half2float(*p); }

/// Sorts as ranks_before(): greater is better. Scores are not negative, so their bits rise.
__device__ __forceinline__ uint64_t make_key(float score, uint32_t index) {
  return static_cast<uint64_t>(__float_as_uint(score)) << 32 | ~index;
}

struct Anchor {
  const HeadLevel* level;
  int y, x, anchor;
};
__device__ __forceinline__ Anchor anchor_at(const DecodeParams& p, uint32_t index) {
  int l = 0;
  while (l + 1 < p.level_count && index >= p.levels[l + 1].first_index) ++l;
  const HeadLevel& level = p.levels[l];
  const int i = static_cast<int>(index - level.first_index), cell = i / level.anchors;
  return {&level, cell / level.width, cell % level.width, i % level.anchors};
}

template <typename T>
__device__ __forceinline__ const T* cell_of(const Anchor& a, int n) {
  const HeadLevel& l = *a.level;
  return static_cast<const T*>(l.data) +
         ((size_t(n) * l.height + a.y) * l.width + a.x) * padded(l.channels);
}

template <typename T>
__device__ __forceinline__ Detection detection_of(const DecodeParams& p, const Anchor& a, int n,
                                                  float score) {
  const T* cell = cell_of<T>(a, n);
  float box[4], landmarks[2 * kLandmarks];
  for (int i = 0; i < 4; ++i) box[i] = value_at(cell + a.level->box_channel + 4 * a.anchor + i);
  for (int i = 0; i < 2 * kLandmarks; ++i)
    landmarks[i] = value_at(cell + a.level->landmark_channel + 2 * kLandmarks * a.anchor + i);
  return decode_anchor(box, landmarks, a.y, a.x, a.level->stride,
                       p.fit_scales[a.level->pass * p.max_batch + n], score);
}

// ---- kernels ----

__global__ void clear_kernel(const DecodeParams p) {
  const int n = threadIdx.x + static_cast<int>(blockIdx.x) * kThreads;
  if (n >= p.batch) return;
  p.counts[n] = 0;
  p.status[n] = 0;
}

/// One thread: an anchor. Appends the keys of those that pass, in any order.
template <typename T>
__global__ void __launch_bounds__(kThreads) gather_kernel(const DecodeParams p, float bound) {
  const uint32_t index = blockIdx.x * kThreads + threadIdx.x;
  const int n = static_cast<int>(blockIdx.y);
  if (index >= p.anchors) return;
  const Anchor a = anchor_at(p, index);
  const float logit = value_at(cell_of<T>(a, n) + a.level->score_channel + a.anchor);
  if (!(fabsf(logit) <= FLT_MAX)) atomicMax(p.status + n, kNotFinite);
  if (!(logit >= bound)) return;
  const float score = sigmoid(logit);
  if (!(score >= p.threshold)) return;
  if (!is_finite(detection_of<T>(p, a, n, score))) atomicMax(p.status + n, kNotFinite);
  p.keys[size_t(n) * p.anchors + atomicAdd(p.counts + n, 1u)] = make_key(score, index);
}

/// The `wanted`-th greatest of distinct keys, 8 bits at a time from the top. All threads call.
__device__ uint64_t select(const uint64_t* keys, uint32_t count, uint32_t wanted) {
  FACE_SHARED(uint32_t, histogram, [kDigits]);
  FACE_SHARED(uint32_t, choice, [2]);  // digit, and how many to go among its keys
  uint64_t prefix = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    histogram[threadIdx.x] = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < count; i += kThreads)
      if (shift == 56 || keys[i] >> (shift + 8) == prefix)
        atomicAdd(histogram + (keys[i] >> shift & 0xff), 1u);
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = kDigits - 1;
      uint32_t left = wanted;
      while (digit > 0 && histogram[digit] < left) left -= histogram[digit--];
      choice[0] = static_cast<uint32_t>(digit);
      choice[1] = left;
    }
    __syncthreads();
    prefix = prefix << 8 | choice[0];
    wanted = choice[1];
  }
  return prefix;
}

/// Bitonic sort, greatest first. `size` is a power of two.
__device__ void sort_keys(uint64_t* keys, int size) {
  for (int width = 2; width <= size; width *= 2)
    for (int step = width / 2; step > 0; step /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < size; i += kThreads) {
        const int other = i ^ step;
        if (other < i) continue;
        const bool falling = (i & width) == 0;
        const uint64_t a = keys[i], b = keys[other];
        if ((a < b) == falling) {
          keys[i] = b;
          keys[other] = a;
        }
      }
    }
  __syncthreads();
}

/// One block: an image. Its best candidates in order, then greedy suppression.
template <typename T>
__global__ void __launch_bounds__(kThreads) suppress_kernel(const DecodeParams p) {
  FACE_DYNAMIC_SHARED(shared);
  FACE_SHARED(int, gathered, [1]);
  uint64_t* best = reinterpret_cast<uint64_t*>(shared);               // [kMaxCandidates]
  unsigned char* alive = shared + kMaxCandidates * sizeof(uint64_t);  // [kMaxCandidates]
  const int n = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const uint64_t* keys = p.keys + size_t(n) * p.anchors;
  const uint32_t found = p.counts[n];
  const int count = found < kMaxCandidates ? static_cast<int>(found) : kMaxCandidates;
  const uint64_t floor = found > kMaxCandidates ? select(keys, found, kMaxCandidates) : 0;

  int size = 1;
  while (size < count) size *= 2;
  if (thread == 0) gathered[0] = 0;
  for (int i = thread; i < size; i += kThreads) best[i] = 0;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < found; i += kThreads)
    if (keys[i] >= floor) best[atomicAdd(gathered, 1)] = keys[i];
  sort_keys(best, size);

  Detection* candidates = p.candidates + size_t(n) * kMaxCandidates;
  for (int i = thread; i < count; i += kThreads) {
    const uint32_t index = ~static_cast<uint32_t>(best[i]);
    candidates[i] = detection_of<T>(p, anchor_at(p, index), n,
                                    __uint_as_float(static_cast<uint32_t>(best[i] >> 32)));
    alive[i] = 1;
  }
  __syncthreads();
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    if (alive[i] == 0) continue;
    const Box box = box_of(candidates[i]);
    const float area = box_area(box);
    if (thread == 0) p.faces[size_t(n) * kMaxCandidates + kept] = candidates[i];
    ++kept;
    for (int j = i + 1 + thread; j < count; j += kThreads) {
      const Box other = box_of(candidates[j]);
      if (suppresses(iou(box, area, other, box_area(other)), p.nms_iou)) alive[j] = 0;
    }
    __syncthreads();
  }
  if (thread == 0) p.face_counts[n] = kept;
}

}  // namespace

// ---- launchers ----

cudaError_t decode(const DecodeParams& p, ElementType type, cudaStream_t stream) {
  const auto batch = static_cast<unsigned>(p.batch);
  const dim3 images((batch + kThreads - 1) / kThreads);
  const dim3 anchors((p.anchors + kThreads - 1) / kThreads, batch);
  const size_t shared = kMaxCandidates * (sizeof(uint64_t) + 1);
  const float bound = surely_below(p.threshold);
  cudaError_t error = launch(clear_kernel, images, kThreads, 0, stream, p);
  if (error != cudaSuccess) return error;
  return with_type(type, [&](auto tag) {
    using T = decltype(tag);
    error = launch(gather_kernel<T>, anchors, kThreads, 0, stream, p, bound);
    if (error != cudaSuccess) return error;
    return launch(suppress_kernel<T>, batch, kThreads, shared, stream, p);
  });
}

}  // namespace face::cuda
