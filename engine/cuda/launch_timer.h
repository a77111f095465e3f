// SPDX-License-Identifier: MIT
// engine/cuda/launch_timer.h - how long a launch takes on the device.
#pragma once

#include <functional>

#include "engine/cuda/raii.h"

namespace face::cuda {

/// Enqueues the work once; `turn` counts up, so that it can take other buffers each time.
using Launch = std::function<void(int turn, cudaStream_t stream)>;

/// Milliseconds of one launch: the median of 20 replays of a graph that holds so many launches that
/// the clock's steps do not matter. Once the first few are over `hopeless` it returns their median.
/// Errors: what `launch` throws.
[[nodiscard]] double median_ms(const Launch& launch, double hopeless, cudaStream_t stream);

}  // namespace face::cuda
