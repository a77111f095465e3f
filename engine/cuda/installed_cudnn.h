// SPDX-License-Identifier: MIT
// engine/cuda/installed_cudnn.h - the cuDNN that an engine may use. On a GPU the installed one
// (installed_cudnn.cpp), under emulation what a test puts there (emulated_cudnn.cpp); which of the
// two is linked is CMake's choice.
#pragma once

#include <memory>

#include "engine/cuda/cudnn_library.h"

namespace face::cuda::cudnn {

/// Library::find(), once per process. Null without cuDNN.
[[nodiscard]] std::shared_ptr<const Library> installed_library();

/// Only under emulation: what installed_library() answers; null at first.
[[nodiscard]] std::shared_ptr<const Library>& emulated_library();

}  // namespace face::cuda::cudnn
