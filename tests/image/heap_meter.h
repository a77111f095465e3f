// SPDX-License-Identifier: MIT
// tests/image/heap_meter.h - counts and, on demand, fails the allocations of the calling thread.
// Replaces malloc and its kin in the program that links heap_meter.cpp; under sanitizers, which
// have their own, counting works through their hooks and failing is not available.
#pragma once

#include <cstddef>

namespace face::test {

struct HeapUse {
  size_t allocations = 0;
  ptrdiff_t live = 0;  // bytes allocated minus bytes freed since heap_start()
  ptrdiff_t peak = 0;  // most of `live`
};

/// Starts counting on this thread.
void heap_start();
/// Stops counting; what was seen since heap_start().
HeapUse heap_stop();

/// Lets allocation number `n` (1 is the next) of this thread fail, once; 0: none.
/// Returns false if this build cannot do that.
bool heap_fail_at(size_t n);

}  // namespace face::test
