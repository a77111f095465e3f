// SPDX-License-Identifier: MIT
// engine/cpu/cpu_backend.h - the engine on the CPU.
#pragma once

#include <memory>
#include <string>

#include "engine/backend.h"

namespace face {

/// `warning` becomes DeviceInfo::warning: why the CPU was taken although a GPU was wished for.
[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(const std::string& warning);

}  // namespace face
