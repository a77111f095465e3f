// SPDX-License-Identifier: MIT
// server/http_gate.h - how many requests are worked on at once, and how many may wait for that.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace face::http {

/// Threads: all members are safe.
class Gate {
 public:
  enum class Entry { kIn, kFull, kGone };

  Gate(size_t places, size_t waiting) : places_(places), max_waiting_(waiting) {}

  /// Waits for a place. kFull: too many wait already. kGone: `gone` became true meanwhile; see
  /// wake_gone(). Only kIn has to be followed by leave().
  [[nodiscard]] Entry enter(const std::atomic<bool>& gone);
  void leave();
  /// Lets those who wait look at their `gone` again.
  void wake_gone();

  [[nodiscard]] size_t waiting() const;
  [[nodiscard]] size_t inside() const;

 private:
  const size_t places_;
  const size_t max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t inside_ = 0;
  size_t waiting_ = 0;
};

}  // namespace face::http
