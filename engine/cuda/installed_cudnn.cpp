// SPDX-License-Identifier: MIT
#include "engine/cuda/installed_cudnn.h"

namespace face::cuda::cudnn {

std::shared_ptr<const Library> installed_library() {
  static const std::shared_ptr<const Library> library = Library::find();
  return library;
}

}  // namespace face::cuda::cudnn
