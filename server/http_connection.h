// SPDX-License-Identifier: MIT
// server/http_connection.h - one client connection as a state machine, without a thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/http_chunked.h"
#include "server/http_head.h"
#include "server/http_server.h"

namespace face::http {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }
  void reset() noexcept;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// What connections of one loop share.
struct LoopShared {
  Handler& handler;
  const ServerOptions& options;
  std::atomic<size_t> upload_bytes{0};
  std::atomic<bool> draining{false};
  /// Queues a complete request; false, leaving it where it is, if the queue is full.
  std::function<bool(uint64_t connection, std::unique_ptr<Request>& request)> dispatch;
};

/// Threads: the loop's alone.
class Connection {
 public:
  enum class State {
    kHead,      // waiting for, or reading, a request head
    kBody,      // reading a body
    kHandling,  // a worker has the request
    kWriting,   // sending an answer
    kLinger,    // our side is closed; reading until the client closes its own
    kDead,      // to be removed
  };

  Connection(uint64_t id, Descriptor socket, LoopShared& shared, Clock::time_point now);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The socket is ready for `events` (EPOLLIN, ...).
  void on_events(uint32_t events, Clock::time_point now);
  /// A worker is done; no answer: it dropped the request because the client had hung up.
  /// REQUIRES: state() == kHandling.
  void on_answer(const std::optional<Answer>& answer, const Request& request,
                 Clock::time_point now);
  /// Applies deadlines.
  void on_tick(Clock::time_point now);
  /// The listener is closed: no further request is awaited on an idle connection.
  void close_if_idle();
  /// Answers without having read anything: for connections over the cap.
  void refuse(int status, const std::string& detail, Clock::time_point now);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool idle() const { return state_ == State::kHead && in_.empty(); }
  [[nodiscard]] Clock::time_point since() const { return since_; }
  /// Events to wait for; empty: the socket must not be polled at all.
  [[nodiscard]] std::optional<uint32_t> wanted_events() const;
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  void read_some(Clock::time_point now);
  void take_bytes(std::string_view bytes, Clock::time_point now);
  void on_peer_closed();
  void on_ready_while_handling(uint32_t events);
  /// Parses and answers as long as complete requests are there.
  void advance(Clock::time_point now);
  /// One step; true if another may follow.
  bool step(Clock::time_point now);
  bool step_head(Clock::time_point now);
  bool step_body(Clock::time_point now);
  void begin_request(size_t head_size, Clock::time_point now);
  void begin_body();
  /// Moves body bytes out of in_; true when the body is whole.
  bool take_body();
  void append_body(std::string_view bytes);
  void hold(size_t bytes);
  void dispatch(Clock::time_point now);
  void refuse_request(const Refusal& refusal, Clock::time_point now);
  void answer_head(const Answer& answer, Clock::time_point now);
  void start_writing(const Answer& answer, const Request* request, bool keep_alive,
                     Clock::time_point now);
  void write_some(Clock::time_point now);
  void finish_writing(Clock::time_point now);
  void enter(State state, Clock::time_point now);
  void report(const Request* request, int status, size_t answer_bytes);
  [[nodiscard]] bool body_too_slow(Clock::time_point now) const;

  const uint64_t id_;
  Descriptor socket_;
  LoopShared& shared_;
  State state_ = State::kHead;
  Clock::time_point since_;     // of state_; kHead: of its first byte, once there is one
  Clock::time_point progress_;  // kWriting: last byte taken
  bool first_ = true;           // no request has been answered yet
  bool broken_ = false;         // kHandling: the socket is gone

  std::string in_;  // received, not yet used
  HeadScanner scanner_;
  std::unique_ptr<Request> request_;            // kBody
  std::shared_ptr<std::atomic<bool>> hung_up_;  // kHandling: of the worker's request
  ChunkedDecoder chunks_;
  size_t body_limit_ = 0;

  std::string out_;
  size_t sent_ = 0;
  bool keep_alive_ = true;
};

}  // namespace face::http
