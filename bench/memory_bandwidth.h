// SPDX-License-Identifier: MIT
// bench/memory_bandwidth.h - what the memory delivers, to hold kernels against.
#pragma once

namespace face::bench {

/// GB/s of `threads` threads that copy buffers far larger than the caches, bytes read plus bytes
/// written, the best of several short runs.
[[nodiscard]] double memory_bandwidth_gbs(int threads);

}  // namespace face::bench
