// SPDX-License-Identifier: MIT
// engine/cuda/cuda_backend.h - the way to the CUDA engine. no_cuda.cpp has the same functions for
// builds without it; which of the two is linked is CMake's choice, callers never ask.
#pragma once

#include <memory>

#include "engine/backend.h"

namespace face {

/// The engine on GPU `index`. Throws Error(kDevice) that names what is missing and the remedy.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_backend(int index);
/// GPUs that the driver shows; 0 without a driver.
[[nodiscard]] int cuda_device_count();

}  // namespace face
