// SPDX-License-Identifier: MIT
// tests/image/heap_meter.cpp - malloc of glibc behind counters, or the sanitizers' hooks.
#include "tests/image/heap_meter.h"

#include <malloc.h>

#include <algorithm>
#include <cerrno>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FACE_SANITIZER_HEAP 1
extern "C" {  // sanitizer/allocator_interface.h, which GCC does not install
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, size_t),
                                              void (*)(const volatile void*));
size_t __sanitizer_get_allocated_size(const volatile void*);
}
#endif

namespace face::test {
namespace {

// Plain data: read before any constructor has run.
thread_local bool g_counting = false;
thread_local HeapUse g_use;

void note(size_t bytes) {
  if (!g_counting) return;
  ++g_use.allocations;
  g_use.live += static_cast<ptrdiff_t>(bytes);
  g_use.peak = std::max(g_use.peak, g_use.live);
}

void note_free(size_t bytes) {
  if (g_counting) g_use.live -= static_cast<ptrdiff_t>(bytes);
}

}  // namespace

void heap_start() {
  g_use = {};
  g_counting = true;
}

HeapUse heap_stop() {
  g_counting = false;
  return g_use;
}

#ifdef FACE_SANITIZER_HEAP

namespace {

void on_malloc(const volatile void*, size_t bytes) { note(bytes); }
void on_free(const volatile void* p) {
  if (p != nullptr) note_free(__sanitizer_get_allocated_size(p));
}
const int g_installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

}  // namespace

bool heap_fail_at(size_t) { return false; }

#else

namespace {

thread_local size_t g_fail_at = 0;

bool fails() { return g_fail_at != 0 && --g_fail_at == 0; }

void* counted(void* p) {
  if (p != nullptr) note(malloc_usable_size(p));
  return p;
}

void* failed() {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

bool heap_fail_at(size_t n) {
  g_fail_at = n;
  return true;
}
#endif

}  // namespace face::test

#ifndef FACE_SANITIZER_HEAP

// glibc's own allocator, under the names it keeps for programs that replace malloc.
extern "C" {
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): glibc's names
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

void* malloc(size_t bytes) {
  return face::test::fails() ? face::test::failed() : face::test::counted(__libc_malloc(bytes));
}
void* calloc(size_t count, size_t bytes) {
  return face::test::fails() ? face::test::failed()
                             : face::test::counted(__libc_calloc(count, bytes));
}
void* realloc(void* old, size_t bytes) {
  if (face::test::fails()) return face::test::failed();
  const size_t before = old == nullptr ? 0 : malloc_usable_size(old);
  void* p = __libc_realloc(old, bytes);
  if (p != nullptr || bytes == 0) face::test::note_free(before);
  return face::test::counted(p);
}
void* memalign(size_t alignment, size_t bytes) {
  return face::test::fails() ? face::test::failed()
                             : face::test::counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* p) {
  if (p != nullptr) face::test::note_free(malloc_usable_size(p));
  __libc_free(p);
}
}
#endif
