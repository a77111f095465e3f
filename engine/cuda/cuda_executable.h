// SPDX-License-Identifier: MIT
// engine/cuda/cuda_executable.h - one network on one GPU behind engine/backend.h.
#pragma once

#include <memory>

#include "engine/backend.h"
#include "engine/cuda/device_network.h"

namespace face::cuda {

/// float or half elements for a precision on a device: auto is fp16 from compute capability 7.0
/// on, before it fp32. Throws Error(kInvalidArgument) for bf16.
[[nodiscard]] ElementType element_type(Precision precision, const Device& device);
[[nodiscard]] Precision precision_of(ElementType type);

/// Plans are kept in a file beside the timings of the CPU engine.
[[nodiscard]] CudnnOptions cudnn_options(bool use, const std::string& timing_path);

/// As Backend::compile().
[[nodiscard]] std::unique_ptr<Executable> make_cuda_executable(const Device& device,
                                                               const Network& network,
                                                               const CompileOptions& options);

/// As Backend::pipeline().
[[nodiscard]] std::unique_ptr<Pipeline> make_cuda_pipeline(const Device& device,
                                                           std::shared_ptr<const Pack> pack,
                                                           const PipelineOptions& options);

}  // namespace face::cuda
