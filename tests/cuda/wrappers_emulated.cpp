// SPDX-License-Identifier: MIT
// tests/cuda/wrappers.cu for the emulator.
#include "tests/cuda/wrappers.cu"  // NOLINT(bugprone-suspicious-include): the same source, as C++
