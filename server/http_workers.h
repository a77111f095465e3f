// SPDX-License-Identifier: MIT
// server/http_workers.h - threads that work on complete requests, and the bounded queue before
// them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/http_server.h"

namespace face::http {

/// Threads: all members are safe.
class Workers {
 public:
  struct Done {
    uint64_t connection = 0;
    std::unique_ptr<Request> request;
    std::optional<Answer> answer;  // none: dropped, the client had hung up
  };

  /// `on_done` is called after each Done was queued, from the worker's thread.
  /// Errors: std::system_error - a thread cannot be started.
  Workers(Handler& handler, int threads, size_t max_pending, std::function<void()> on_done);
  /// Drops what is pending, waits for what is worked on.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False, leaving `request` where it is, if max_pending requests wait already.
  bool push(uint64_t connection, std::unique_ptr<Request>& request);
  [[nodiscard]] std::vector<Done> take_done();
  [[nodiscard]] size_t pending() const;
  [[nodiscard]] size_t working() const { return working_.load(); }

 private:
  void stop();
  void work();
  [[nodiscard]] std::optional<Answer> answer(Request& request);

  Handler& handler_;
  const size_t max_pending_;
  const std::function<void()> on_done_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Done> queue_;
  std::vector<Done> done_;
  bool stopping_ = false;
  std::atomic<size_t> working_{0};
  std::vector<std::thread> threads_;
};

}  // namespace face::http
