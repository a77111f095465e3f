// SPDX-License-Identifier: MIT
// kernels/cuda/emu/races.h - tells ThreadSanitizer what happens on fibers, so that it finds the
// races of a launch's threads: each is a thread to it, only barriers order those of a block, and
// nothing those of different ones (but see crew.h).
//
// The scheduler's own files are compiled without the sanitizer: they hand data between threads as
// hardware would. Without -fsanitize=thread everything here does nothing.
#pragma once

#if defined(FACE_EMU_RACES)
#include <sanitizer/tsan_interface.h>

extern "C" {
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

/// On functions that compute for several lanes at once.
#define FACE_EMU_UNSEEN __attribute__((no_sanitize("thread")))

namespace face::cuda::emu::races {

#if defined(FACE_EMU_RACES)

constexpr bool kWatched = true;

inline void* current_thread() { return __tsan_get_current_fiber(); }
inline void* make_thread() { return __tsan_create_fiber(0); }
inline void end_thread(void* thread) { __tsan_destroy_fiber(thread); }
/// What was done before is not ordered by this.
inline void switch_to(void* thread) {
  __tsan_switch_to_fiber(thread, __tsan_switch_to_fiber_no_sync);
}

/// What was done before release() comes before what follows an acquire() of the same token.
inline void release(char* token) { __tsan_release(token); }
inline void acquire(char* token) { __tsan_acquire(token); }

/// Writes in this scope are not the thread's.
struct Unseen {
  Unseen() { AnnotateIgnoreWritesBegin(__FILE__, __LINE__); }
  ~Unseen() { AnnotateIgnoreWritesEnd(__FILE__, __LINE__); }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
};

#else

constexpr bool kWatched = false;

inline void* current_thread() { return nullptr; }
inline void* make_thread() { return nullptr; }
inline void end_thread(void*) {}
inline void switch_to(void*) {}
inline void release(char*) {}
inline void acquire(char*) {}
struct Unseen {
  Unseen() {}  // NOLINT(modernize-use-equals-default): has work to do in the other build
};

#endif

}  // namespace face::cuda::emu::races
