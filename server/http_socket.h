// SPDX-License-Identifier: MIT
// server/http_socket.h - descriptors that close themselves, and the listening socket.
#pragma once

#include <string>
#include <utility>

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

/// A non-blocking listener. Errors: kIo - names host, port and reason.
[[nodiscard]] Descriptor listen_on(const std::string& host, int port);
/// Port that a socket is bound to; 0 if it is not.
[[nodiscard]] int bound_port(int fd);
/// setsockopt() with an int; a failure is of no consequence to the caller.
void set_option(int fd, int level, int name, int value);

}  // namespace face::http
