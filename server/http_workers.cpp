// SPDX-License-Identifier: MIT
// server/http_workers.cpp - take a request, answer it, hand it back.
#include "server/http_workers.h"

#include <utility>

namespace face::http {

Workers::Workers(Handler& handler, int threads, size_t max_pending, std::function<void()> on_done)
    : handler_(handler), max_pending_(max_pending), on_done_(std::move(on_done)) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

Workers::~Workers() { stop(); }

void Workers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Workers::push(uint64_t connection, std::unique_ptr<Request>& request) {
  {
    const std::lock_guard lock(mutex_);
    const size_t idle = threads_.size() - std::min(threads_.size(), working_.load());
    if (queue_.size() >= max_pending_ + idle) return false;
    queue_.push_back({connection, std::move(request), std::nullopt});
  }
  changed_.notify_one();
  return true;
}

std::vector<Workers::Done> Workers::take_done() {
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

size_t Workers::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::optional<Answer> Workers::answer(Request& request) {
  if (request.hung_up->load()) return std::nullopt;
  try {
    return handler_.on_request(request);
  } catch (const Refusal& refusal) {
    return detail_answer(refusal.status(), refusal.what());
  } catch (const std::bad_alloc&) {
    return detail_answer(503, "Out of memory, try again");
  } catch (const std::exception&) {
    return detail_answer(500, "Internal server error");
  }
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Done task = std::move(queue_.front());
    queue_.pop_front();
    ++working_;
    lock.unlock();
    task.answer = answer(*task.request);
    lock.lock();
    --working_;
    done_.push_back(std::move(task));
    lock.unlock();
    on_done_();
    lock.lock();
  }
}

}  // namespace face::http
