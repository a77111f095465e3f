// SPDX-License-Identifier: MIT
#include "engine/cuda/installed_cudnn.h"

namespace face::cuda::cudnn {

std::shared_ptr<const Library>& emulated_library() {
  static std::shared_ptr<const Library> library;
  return library;
}

std::shared_ptr<const Library> installed_library() { return emulated_library(); }

}  // namespace face::cuda::cudnn
