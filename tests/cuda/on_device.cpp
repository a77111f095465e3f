// SPDX-License-Identifier: MIT
#include "tests/cuda/on_device.h"

#include <cstdlib>

namespace face::cuda {
namespace {

bool gpu_required() {
  const char* value = std::getenv("FACE_REQUIRE_CUDA");
  return value != nullptr && std::string(value) == "1";
}

}  // namespace

void OnDevice::SetUp() {
  const std::string reason = no_device();
  if (!reason.empty() && gpu_required()) FAIL() << reason << ", and FACE_REQUIRE_CUDA=1 wants one";
  if (!reason.empty()) GTEST_SKIP() << reason;
  begin_test();
}

}  // namespace face::cuda
