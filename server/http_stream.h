// SPDX-License-Identifier: MIT
// server/http_stream.h - a client's socket with deadlines, as cpp-httplib reads and writes it.
#pragma once

#include <httplib.h>

#include <string>
#include <string_view>

#include "server/http_chunked.h"
#include "server/http_head.h"
#include "server/http_server.h"
#include "server/http_socket.h"

namespace face::http {

/// One thread's view of a connection. cpp-httplib has a timeout per read; this has deadlines per
/// message, and never reads past the message's end: what follows is the next request's.
/// Refusals it finds while cpp-httplib reads are thrown through cpp-httplib's routing.
class ClientStream final : public httplib::Stream {
 public:
  ClientStream(Descriptor socket, const ServerOptions& options);

  /// Waits for a request and returns its head, or empty if the client closed, or stayed silent for
  /// `idle`. Errors (Refusal): 408 - begun, but not whole within head_timeout; those of
  /// HeadScanner.
  [[nodiscard]] std::string read_head(std::chrono::milliseconds idle);
  /// True if no byte of a next request has arrived.
  [[nodiscard]] bool drained() const { return in_.empty(); }
  /// Whether the whole body of `head` has arrived already; if so it is thrown away.
  [[nodiscard]] bool skip_body(const Head& head);

  /// What read() gives out next: `head` as it stands, then the body that `framing` describes.
  void replay(std::string head, const Head& framing, size_t body_limit);
  /// No more of the body is given out.
  void end_input() { framing_ = Framing::kNone; }
  /// Bytes sent since construction.
  [[nodiscard]] size_t sent() const { return sent_; }
  /// False once the client is gone or too slow: nothing more can be sent.
  [[nodiscard]] bool alive() const { return alive_; }
  /// True if the client has closed its side.
  [[nodiscard]] bool peer_closed() const;
  /// Closes our side and reads on until the client closes its own, so that it sees the answer.
  void linger();
  /// From any thread: ends every wait.
  void interrupt() noexcept;

  // httplib::Stream
  [[nodiscard]] bool is_readable() const override { return true; }
  [[nodiscard]] bool wait_readable() const override { return true; }
  [[nodiscard]] bool wait_writable() const override { return alive_; }
  ssize_t read(char* ptr, size_t size) override;
  ssize_t write(const char* ptr, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  [[nodiscard]] socket_t socket() const override { return socket_.get(); }
  [[nodiscard]] time_t duration() const override { return 0; }

 private:
  enum class Fill { kBytes, kClosed, kTimeout };
  /// Receives some bytes into in_.
  Fill fill(Clock::time_point deadline, size_t want);
  [[nodiscard]] bool wait_for(short events, Clock::time_point deadline) const;
  /// Receives a part of the body, within its deadlines.
  void fill_body();
  /// How many of in_'s bytes belong to the body.
  size_t body_bytes();

  Descriptor socket_;
  const ServerOptions& options_;
  HeadScanner scanner_;
  std::string in_;  // received, not yet given out
  bool alive_ = true;
  size_t sent_ = 0;

  std::string replay_;
  size_t replayed_ = 0;
  Framing framing_ = Framing::kNone;
  uint64_t body_left_ = 0;  // kLength
  size_t body_limit_ = 0;
  ChunkedCheck chunks_;
  size_t checked_ = 0;        // kChunked: bytes of in_ that chunks_ let pass
  size_t body_received_ = 0;  // from the socket
  Clock::time_point body_begun_;
};

}  // namespace face::http
