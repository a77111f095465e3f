// SPDX-License-Identifier: MIT
#include "engine/cuda/cuda_backend.h"

#include "engine/cuda/cuda_executable.h"
#include "engine/cuda/picture_memory.h"
#include "engine/error.h"

namespace face {
namespace {

using cuda::Device;

constexpr size_t kPictureBytes = size_t{128} << 20;  // 42 pictures of 1080p

/// "13.0" of 13000.
std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

[[noreturn]] void fail(int index, const std::string& reason, const std::string& remedy) {
  int driver = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaGetLastError());
  const std::string found =
      driver == 0 ? "no NVIDIA driver" : "the NVIDIA driver supports CUDA " + version(driver);
  throw Error(ErrorKind::kDevice, "cuda:" + std::to_string(index) + ": " + reason + "; " + found +
                                      ", this program is built with CUDA " +
                                      version(CUDART_VERSION) + "; " + remedy);
}

Device open_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0)
    fail(index, std::string("no usable GPU (") + cudaGetErrorString(status) + ")",
         "install or update the driver, look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use "
         "--device cpu");
  if (index >= count)
    fail(index, "this machine has " + std::to_string(count) + " GPU(s)",
         "use cuda:0 to cuda:" + std::to_string(count - 1));
  return cuda::describe_device(index);
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const Device& device) : device_(device) {
    info_.is_cuda = true;
    info_.name = device.name;
    info_.driver = version(device.driver);
  }

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] bool supports(Precision precision) const override {
    return precision != Precision::kBf16;
  }
  [[nodiscard]] std::unique_ptr<Executable> compile(const Network& network,
                                                    const CompileOptions& options) override {
    return cuda::make_cuda_executable(device_, network, options);
  }
  [[nodiscard]] ImageTarget image_target() override {
    cuda::make_current(device_);
    if (pictures_ == nullptr) pictures_ = std::make_shared<cuda::PictureMemory>(kPictureBytes);
    return {true, pictures_};
  }
  [[nodiscard]] std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack> pack,
                                                   const PipelineOptions& options) override {
    auto result = cuda::make_cuda_pipeline(device_, pack, options);
    pack->release_pages();
    return result;
  }

 private:
  Device device_;
  DeviceInfo info_;
  std::shared_ptr<cuda::PictureMemory> pictures_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index) {
  return std::make_unique<CudaBackend>(open_device(index));
}

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

}  // namespace face
