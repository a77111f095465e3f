// SPDX-License-Identifier: MIT
// engine/image/memory_budget.cpp - tickets, given in the order in which they were asked for.
#include <string>
#include <utility>

#include "engine/error.h"
#include "engine/image.h"

namespace face {

MemoryBudget::Ticket::Ticket(Ticket&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MemoryBudget::Ticket& MemoryBudget::Ticket::operator=(Ticket&& other) noexcept {
  if (this != &other) {
    release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void MemoryBudget::Ticket::release() noexcept { shrink(0); }

void MemoryBudget::Ticket::shrink(size_t bytes) noexcept {
  if (budget_ == nullptr || bytes >= bytes_) return;
  budget_->give_back(bytes_ - bytes);
  bytes_ = bytes;
}

MemoryBudget::Ticket MemoryBudget::acquire(size_t bytes,
                                           std::chrono::steady_clock::time_point deadline) {
  if (bytes > total_) {
    throw Error(ErrorKind::kTooLarge, "The picture needs " + std::to_string(bytes) +
                                          " bytes of memory, the limit is " +
                                          std::to_string(total_));
  }
  std::unique_lock lock(mutex_);
  Waiter me;
  *last_ = &me;
  last_ = &me.next;
  const bool taken =
      changed_.wait_until(lock, deadline, [&] { return first_ == &me && free_ >= bytes; });
  leave(me);
  if (!taken) throw Error(ErrorKind::kBusy, "no memory came free for the picture, try again");
  free_ -= bytes;
  return {this, bytes};
}

void MemoryBudget::leave(Waiter& waiter) noexcept {
  Waiter** link = &first_;
  while (*link != &waiter) link = &(*link)->next;
  *link = waiter.next;
  if (last_ == &waiter.next) last_ = link;
  changed_.notify_all();
}

void MemoryBudget::give_back(size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  free_ += bytes;
  changed_.notify_all();
}

size_t MemoryBudget::free_bytes() const {
  const std::lock_guard lock(mutex_);
  return free_;
}

}  // namespace face
