// SPDX-License-Identifier: MIT
#include "kernels/cuda/emu/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#include "kernels/cuda/emu/races.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace face::cuda::emu {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr size_t kPage = 4096;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStack = 256 << 10;
#else
constexpr size_t kStack = 64 << 10;
#endif

}  // namespace

Fiber* Fiber::left_ = nullptr;

struct FiberStart {
  static void run(transfer_t from) {
    auto* self = static_cast<Fiber*>(from.data);
    Fiber::left_->context_ = from.fctx;
    self->entry_();
  }
};

Fiber::Fiber(Entry entry, size_t index)
    : size_(kStack), thread_(races::make_thread()), entry_(entry) {
  void* map = mmap(nullptr, size_ + kPage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  mprotect(map, kPage, PROT_NONE);
  stack_ = static_cast<char*>(map) + kPage;
  const size_t used = size_ - index * 9 % 61 * 64;
  context_ = make_fcontext(stack_ + used, used, &FiberStart::run);
}

Fiber::~Fiber() {
  if (entry_ == nullptr) return;
  races::end_thread(thread_);
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, size_);
#endif
  munmap(stack_ - kPage, size_ + kPage);
}

void Fiber::jump(Fiber& from, Fiber& to) {
  left_ = &from;
  if (from.entry_ == nullptr) from.thread_ = races::current_thread();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.size_);
#endif
  races::switch_to(to.thread_);
  const transfer_t back = jump_fcontext(to.context_, &to);
  left_->context_ = back.fctx;
  arrived(from.fake_stack_);
}

void Fiber::arrived([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
  if (left_->entry_ == nullptr) {  // the caller's own stack, of whichever OS thread it is now
    left_->stack_ = static_cast<char*>(const_cast<void*>(bottom));
    left_->size_ = size;
  }
#endif
}

}  // namespace face::cuda::emu
