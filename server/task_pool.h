// SPDX-License-Identifier: MIT
// server/task_pool.h - a fixed set of threads that run tasks in order of arrival.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace face {

/// Threads: all members are safe.
class TaskPool {
 public:
  /// Errors: std::system_error - a thread cannot be started.
  explicit TaskPool(int threads);
  /// Runs what was posted, then ends the threads.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  /// `task` must not throw. The caller bounds how many there are.
  void post(std::function<void()> task);

 private:
  void stop();
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace face
