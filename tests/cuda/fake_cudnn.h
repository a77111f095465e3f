// SPDX-License-Identifier: MIT
// tests/cuda/fake_cudnn.h - cuDNN's backend API on the emulator: checks how descriptors are built,
// offers the plans that a test wants and computes their graphs in plain loops.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/cudnn_library.h"

namespace face::cuda::test {

/// A plan that the fake offers for every graph.
struct FakePlan {
  int64_t engine = 41;
  size_t workspace = 0;
  double milliseconds = 0;  // of an execution, on the emulated clock
  float scale = 1.f;        // not 1: wrong results
  int behavior_note = -1;   // -1: none
  int numerical_note = -1;
  bool builds = true;  // else finalize refuses it
  bool runs = true;    // else execute fails
};

struct FakeCudnn {
  int version = 91900;
  bool starts = true;  // else cudnnCreate fails
  std::vector<FakePlan> plans;

  // What was seen.
  int heuristics = 0, executions = 0;
  int live_descriptors = 0, live_handles = 0;
  std::vector<std::string> misuse;  // of the API; a test expects none
};

/// The one that the library's functions work on.
FakeCudnn& fake_cudnn();

/// A library of the fake's functions, with its version of now.
std::shared_ptr<const cudnn::Library> fake_library();

}  // namespace face::cuda::test
