// SPDX-License-Identifier: MIT
// engine/backend.cpp - choice of the device.
#include "engine/backend.h"

#include <charconv>

#include "engine/cpu/cpu_backend.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/error.h"

namespace face {
namespace {

/// N of "cuda:N", 0 for "cuda", -1 for anything else.
int cuda_index(const std::string& device) {
  if (device == "cuda") return 0;
  if (device.rfind("cuda:", 0) != 0) return -1;
  int index = -1;
  const char* end = device.data() + device.size();
  const auto [stop, error] = std::from_chars(device.data() + 5, end, index);
  return error == std::errc() && stop == end ? index : -1;
}

std::unique_ptr<Backend> make_auto_backend() {
  try {
    return make_cuda_backend(0);
  } catch (const Error& e) {
    return make_cpu_backend(e.what());
  }
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device) {
  if (device == "auto") return make_auto_backend();
  if (device == "cpu") return make_cpu_backend("");
  const int index = cuda_index(device);
  if (index >= 0) return make_cuda_backend(index);
  throw Error(ErrorKind::kInvalidArgument,
              "device '" + device + "': want auto, cpu, cuda, cuda:N or cuda:all");
}

std::vector<std::unique_ptr<Backend>> make_backends(const std::string& device) {
  std::vector<std::unique_ptr<Backend>> backends;
  const int count = device == "cuda:all" ? cuda_device_count() : 0;
  backends.reserve(static_cast<size_t>(count) + 1);
  for (int i = 0; i < count; ++i) backends.push_back(make_cuda_backend(i));
  if (backends.empty()) backends.push_back(make_backend(device == "cuda:all" ? "cuda" : device));
  return backends;
}

}  // namespace face
