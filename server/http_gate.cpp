// SPDX-License-Identifier: MIT
#include "server/http_gate.h"

namespace face::http {

Gate::Entry Gate::enter(const std::atomic<bool>& gone) {
  std::unique_lock lock(mutex_);
  if (inside_ < places_ && waiting_ == 0) {
    ++inside_;
    return Entry::kIn;
  }
  if (waiting_ >= max_waiting_) return Entry::kFull;
  ++waiting_;
  changed_.wait(lock, [&] { return gone.load() || inside_ < places_; });
  --waiting_;
  if (gone.load()) return Entry::kGone;
  ++inside_;
  return Entry::kIn;
}

void Gate::leave() {
  {
    const std::lock_guard lock(mutex_);
    --inside_;
  }
  changed_.notify_all();
}

void Gate::wake_gone() { changed_.notify_all(); }

size_t Gate::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

size_t Gate::inside() const {
  const std::lock_guard lock(mutex_);
  return inside_;
}

}  // namespace face::http
