// SPDX-License-Identifier: MIT
// engine/cuda/no_cuda.cpp - what cuda_backend.h says, for builds without the CUDA engine.
#include "engine/cuda/cuda_backend.h"
#include "engine/error.h"

namespace face {

std::unique_ptr<Backend> make_cuda_backend(int index) {
  throw Error(ErrorKind::kDevice, "cuda:" + std::to_string(index) +
                                      ": this program was built without the CUDA engine; build it "
                                      "with -DFACE_CUDA=ON where nvcc is installed");
}

int cuda_device_count() { return 0; }

}  // namespace face
