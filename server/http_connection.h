// SPDX-License-Identifier: MIT
// server/http_connection.h - one client connection and the thread that serves it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "server/http_gate.h"
#include "server/http_server.h"
#include "server/http_socket.h"
#include "server/http_stream.h"

namespace face::http {

class Library;

/// What the connections of one server share.
struct Shared {
  Handler& handler;
  const ServerOptions& options;
  Library& library;
  Gate gate;
  std::atomic<size_t> upload_bytes{0};
  std::atomic<bool> draining{false};
  std::atomic<bool> listening{true};
};

/// Threads: serve() on the connection's own; the others from any.
class Connection {
 public:
  Connection(Descriptor socket, Shared& shared);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Requests and answers, one after another, until either side ends it.
  void serve() noexcept;
  /// Answers without reading anything, then ends: for connections over the cap.
  void refuse(int status, const std::string& detail) noexcept;

  /// Waiting for a request, none of which has arrived. `since` is when that began.
  [[nodiscard]] bool idle() const { return phase_.load() == Phase::kIdle; }
  [[nodiscard]] bool answered_before() const { return answered_.load(); }
  [[nodiscard]] Clock::time_point since() const { return Clock::time_point(since_.load()); }
  /// Looks whether the client of a request that is being worked on has hung up.
  void watch_hang_up();
  /// Ends every wait for the client.
  void interrupt() noexcept { stream_.interrupt(); }

 private:
  enum class Phase { kIdle, kReading, kHandling, kWriting };

  /// One request; true if another may follow.
  bool serve_one();
  bool answer_request(Request& request);
  /// An answer that needs no body: health, metrics, refusals by head.
  bool answer_head(Request& request, const Answer& answer);
  bool receive_and_answer(Request& request);
  /// Through the gate and the handler. False: the client is gone, nothing is to be sent.
  bool work_on(Request& request, Answer* answer);
  void refuse_request(const Request* request, const Refusal& refusal);
  /// Sends an answer that takes no body; `request` may be null.
  void send(const Request* request, const Answer& answer, bool keep_alive);
  void enter(Phase phase);
  void report(const Request* request, int status, size_t answer_bytes);

  Shared& shared_;
  ClientStream stream_;
  std::atomic<Phase> phase_{Phase::kIdle};
  std::atomic<Clock::duration> since_;
  std::atomic<bool> answered_{false};
  std::mutex watched_mutex_;
  std::shared_ptr<std::atomic<bool>> watched_;  // hung_up of the request worked on
};

}  // namespace face::http
