// SPDX-License-Identifier: MIT
// tests/cuda/emulated.h - the fixture of tests that hold on the emulator alone.
#pragma once

#include "tests/cuda/on_device.h"

namespace face::cuda {

using Emulated = OnDevice;

}  // namespace face::cuda
