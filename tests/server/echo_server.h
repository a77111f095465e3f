// SPDX-License-Identifier: MIT
// tests/server/echo_server.h - the HTTP front with a handler that echoes, for its tests.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "server/http_server.h"

namespace face::http::test {

using namespace std::chrono_literals;

/// Echoes bodies; a body "wait" blocks until open() is called.
class EchoHandler : public Handler {
 public:
  std::optional<Answer> on_head(const Request& request) override {
    if (request.head.path == "/") return Answer{200, "text/plain", "alive", {}, false};
    if (request.head.path == "/detect") return std::nullopt;
    return detail_answer(404, "Not Found");
  }
  size_t body_limit(const Request&) override { return 1'000'000; }
  std::optional<Answer> on_request(Request& request) override {
    if (request.body == "wait") {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
    }
    if (request.body == "throw") throw std::runtime_error("a secret");
    ++handled;
    return Answer{200, "text/plain", request.body, {}, false};
  }
  void on_done(const Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    statuses_.push_back(outcome.status);
    changed_.notify_all();
  }

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void await_waiting(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }
  /// Waits until `count` requests have ended; their statuses.
  std::vector<int> await_done(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return statuses_.size() >= count; });
    return statuses_;
  }

  std::atomic<int> handled{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> statuses_;
  int waiting_ = 0;
  bool open_ = false;
};

inline ServerOptions quick_options() {
  ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.workers = 2;
  options.max_pending = 2;
  options.linger = 500ms;
  return options;
}

/// A server on a free port, drained at the end.
class Running {
 public:
  explicit Running(const ServerOptions& options = quick_options())
      : server(handler, options), thread_([this] { server.run(); }) {}
  ~Running() {
    handler.open();
    stop();
  }
  void stop() {
    server.drain(0ms);
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return server.port(); }
  /// True once no connection is open and no body is held.
  bool settles() const {
    for (int i = 0; i < 200; ++i) {
      const ServerStats stats = server.stats();
      if (stats.connections + stats.pending + stats.working + stats.upload_bytes == 0) return true;
      std::this_thread::sleep_for(50ms);
    }
    return false;
  }

  EchoHandler handler;
  Server server;

 private:
  std::thread thread_;
};

inline constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
inline constexpr const char* kCanary =
    "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\ncanary";

inline std::string detect(const std::string& headers) {
  return "POST /detect HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

}  // namespace face::http::test
