// SPDX-License-Identifier: MIT
// engine/device_choice.cpp - words for devices.
#include <charconv>

#include "engine/backend.h"
#include "engine/error.h"

namespace face {
namespace {

/// N of "cuda:N", -1 for anything else.
int gpu_index(const std::string& text) {
  if (text.rfind("cuda:", 0) != 0) return -1;
  int index = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
  return error == std::errc() && stop == end ? index : -1;
}

}  // namespace

DeviceChoice parse_device(const std::string& text) {
  if (text == "auto") return {DeviceKind::kAuto};
  if (text == "cpu") return {DeviceKind::kCpu};
  if (text == "cuda") return {DeviceKind::kGpu};
  if (text == "cuda:all") return {DeviceKind::kAllGpus};
  if (const int index = gpu_index(text); index >= 0) return {DeviceKind::kGpu, index};
  throw Error(ErrorKind::kInvalidArgument, "device \"" + text + "\" is none of " + kDeviceWords);
}

}  // namespace face
