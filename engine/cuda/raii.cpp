// SPDX-License-Identifier: MIT
#include "engine/cuda/raii.h"

#include "engine/error.h"

namespace face::cuda {
namespace {

/// Whether the context is lost. Numbers of driver_types.h, where each is documented as such.
bool is_sticky(cudaError_t status) {
  switch (static_cast<int>(status)) {
    case 214:  // ECC error that cannot be corrected
    case 226:  // contained
    case 700:  // illegal address
    case 702:  // launch timeout
    case 709:  // context destroyed
    case 710:  // device assert
    case 714:  // hardware stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case 719:  // launch failure
    case 720:  // cooperative launch too large
    case 721:  // tensor memory leak
    case 999:  // unknown
      return true;
    default:
      return false;
  }
}

std::string remedy(cudaError_t status) {
  switch (static_cast<int>(status)) {
    case 2:
      return "; lower the batch or face chunk, or free memory on this GPU";
    case 35:
      return "; the NVIDIA driver is older than this program needs, or missing: update it";
    case 100:
    case 101:
      return "; check nvidia-smi and CUDA_VISIBLE_DEVICES";
    case 209:
    case 222:
      return "; this program holds no code for this GPU: build it with its architecture";
    default:
      return is_sticky(status) ? "; the device cannot recover: restart the process" : "";
  }
}

}  // namespace

void check(cudaError_t status, const std::string& call, const std::string& doing) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  std::string message = "CUDA: " + call;
  if (!doing.empty()) message += " in " + doing;
  message += std::string(": ") + cudaGetErrorName(status) + ", " + cudaGetErrorString(status);
  throw Error(is_sticky(status) ? ErrorKind::kDeviceLost : ErrorKind::kDevice,
              message + remedy(status));
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  FACE_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

Event make_event(bool timing) {
  cudaEvent_t event = nullptr;
  FACE_CUDA(cudaEventCreateWithFlags(&event, timing ? 0 : cudaEventDisableTiming));
  return Event(event);
}

Memory::Memory(Where where, size_t bytes) : where_(where), bytes_(bytes) {
  if (bytes == 0) return;
  const bool device = where == Where::kDevice;
  check(device ? cudaMalloc(&data_, bytes) : cudaMallocHost(&data_, bytes),
        (device ? "cudaMalloc of " : "cudaMallocHost of ") + std::to_string(bytes) + " bytes");
}

Memory::~Memory() {
  if (data_ != nullptr)
    static_cast<void>(where_ == Where::kDevice ? cudaFree(data_) : cudaFreeHost(data_));
}

}  // namespace face::cuda
