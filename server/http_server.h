// SPDX-License-Identifier: MIT
// server/http_server.h - an HTTP/1.1 server for untrusted clients with large uploads.
//
// cpp-httplib reads bodies and writes answers (http_library.h); around it stands what it has not:
// deadlines for whole messages, a strict reading of heads and chunks before it sees them, admission
// before a body is read, a thread per connection up to a cap, so that a slow client keeps nobody
// waiting, and a drain that loses nothing. What the handler answers from the head alone (health,
// metrics, refusals) waits for no one; requests with a body pass a gate that bounds how many are
// worked on and how many wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http_head.h"
#include "server/http_message.h"

namespace face::http {

struct ServerOptions {
  std::string host = "0.0.0.0";  // a name or address; "::" takes IPv6 and IPv4
  int port = 8001;               // 0 takes a free one
  int workers = 8;               // requests worked on at once
  size_t max_pending = 64;       // complete requests that wait for a worker; beyond them: 503
  size_t max_connections = 1'024;
  size_t max_upload_bytes = size_t{128} << 20;  // bodies of all connections together; beyond: 503
  HeadLimits head;
  std::chrono::milliseconds head_timeout{5'000};   // from the first byte to the empty line: 408
  std::chrono::milliseconds body_timeout{30'000};  // for a whole body: 408
  std::chrono::milliseconds body_grace{2'000};     // after it, body_rate is demanded: 408
  size_t body_rate = 8'192;                        // bytes per second, on average
  std::chrono::milliseconds write_stall{5'000};    // without a byte taken: closed
  std::chrono::milliseconds write_timeout{60'000};
  std::chrono::milliseconds keep_alive{15'000};  // idle between requests
  std::chrono::milliseconds linger{2'000};       // reading on after a refusal, so that it is seen
};

/// How a request ended, for metrics and log. `request` is null if no head could be read.
struct Outcome {
  const Request* request = nullptr;
  int status = 0;  // 0: the client hung up before an answer
  size_t answer_bytes = 0;
};

/// What the server asks of the application. Every message that began ends in one on_done().
class Handler {
 public:
  virtual ~Handler() = default;
  /// Before any body is read: an answer serves or refuses the request at once. Must not block.
  [[nodiscard]] virtual std::optional<Answer> on_head(const Request& request) = 0;
  /// Largest body of a request that on_head() let pass; more is 413.
  [[nodiscard]] virtual size_t body_limit(const Request& request) = 0;
  /// With the whole body. No answer: the client hung up and the work was
  /// dropped. A Refusal is answered as such, any other exception is a 500.
  [[nodiscard]] virtual std::optional<Answer> on_request(Request& request) = 0;
  /// Must not block or throw.
  virtual void on_done(const Outcome& outcome) = 0;
};

struct ServerStats {
  size_t connections = 0;
  size_t pending = 0;       // complete, not yet taken by a worker
  size_t working = 0;       // in on_request()
  size_t upload_bytes = 0;  // bodies held
};

class Listener;

/// Threads: run() on one; every other member from any, run() notwithstanding.
class Server {
 public:
  /// Binds and listens. `handler` must outlive this.
  /// Errors: kIo - names host, port and reason (port in use, unknown host).
  Server(Handler& handler, const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] int port() const;
  /// Serves until a drain has finished.
  void run();
  /// Accepts for another `accept_for` with "Connection: close" on every answer, takes what the
  /// kernel's backlog holds, closes the listener, answers what was accepted, then ends run().
  void drain(std::chrono::milliseconds accept_for);
  [[nodiscard]] ServerStats stats() const;

 private:
  std::unique_ptr<Listener> listener_;
};

}  // namespace face::http
