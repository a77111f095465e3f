// SPDX-License-Identifier: MIT
// kernels/cuda/decode.h - a detector's heads to faces, on the device: candidates over a threshold,
// the best of them, non-maximum suppression. Answers and their order are those of kernels/cpu.
#pragma once

#include <cstdint>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ops.h"
#include "kernels/math/types.h"

namespace face::cuda {

constexpr int kMaxHeadLevels = 24;    // levels of all input sizes
constexpr int kMaxCandidates = 4096;  // of an image, the best by score; a power of two

/// One level of one input size: where DetectorLevel's channels lie.
struct HeadLevel {
  const void* data = nullptr;  // (batch, height, width, padded(channels)) of T
  int height = 0, width = 0, channels = 0;
  int stride = 0, anchors = 0;
  int score_channel = 0, box_channel = 0, landmark_channel = 0;
  int pass = 0;              // which input size: selects the scale
  uint32_t first_index = 0;  // anchors of the levels before
};

/// Flags in DecodeParams::status.
constexpr int kNotFinite = 1;

struct DecodeParams {
  HeadLevel levels[kMaxHeadLevels];
  int level_count = 0;
  int batch = 0, max_batch = 0;
  uint32_t anchors = 0;  // of all levels
  float threshold = 0.f, nms_iou = 0.f;
  const float* fit_scales = nullptr;  // (passes, max_batch), device
  uint64_t* keys = nullptr;           // (max_batch, anchors), device scratch
  uint32_t* counts = nullptr;         // (max_batch), device scratch
  Detection* candidates = nullptr;    // (max_batch, kMaxCandidates), device scratch
  // Results, written by the device into pinned host memory: only what is found crosses the bus.
  Detection* faces = nullptr;  // (max_batch, kMaxCandidates)
  int* face_counts = nullptr;  // (max_batch)
  int* status = nullptr;       // (max_batch): 0 or kNotFinite
};

/// Three launches: clear, gather, suppress. Deterministic whatever the order threads run in.
[[nodiscard]] cudaError_t decode(const DecodeParams& p, ElementType type, cudaStream_t stream);

}  // namespace face::cuda
