// SPDX-License-Identifier: MIT
#include "engine/cpu/cpu_backend.h"

#include <dnnl.hpp>
#include <fstream>
#include <utility>

#include "engine/cpu/cpu_pipeline.h"
#include "engine/cpu/executor.h"
#include "engine/cpu/onednn_compat.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/error.h"
#include "kernels/cpu/conv.h"

namespace face {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return "CPU";
}

std::string instruction_sets() {
  return std::string(cpu::to_string(cpu::best_conv_isa())) + ", oneDNN " + cpu::onednn::version() +
         " " + cpu::onednn_isa();
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const std::string& warning)
      : info_{false, cpu_name(), instruction_sets(), warning} {}

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] bool supports(Precision precision) const override {
    return precision != Precision::kFp16;
  }

  [[nodiscard]] std::unique_ptr<Executable> compile(const Network& network,
                                                    const CompileOptions& options) override {
    validate(network, "network");
    try {
      cpu::ExecutorOptions executor;
      executor.compile = options;
      return cpu::make_executor(network, executor);
    } catch (const dnnl::error& e) {
      throw Error(ErrorKind::kDevice, std::string("oneDNN ") + cpu::onednn::version() + ": " +
                                          e.what() + "; --precision fp32 may help");
    }
  }

  [[nodiscard]] std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack> pack,
                                                   const PipelineOptions& options) override {
    auto result = make_cpu_pipeline(*this, pack, options);
    pack->release_pages();
    return result;
  }

 private:
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const std::string& warning) {
  return std::make_unique<CpuBackend>(warning);
}

}  // namespace face
