// SPDX-License-Identifier: MIT
// server/http_stream.cpp - waits and deadlines.
#include "server/http_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace face::http {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

}  // namespace

ClientStream::ClientStream(Descriptor socket, const ServerOptions& options)
    : socket_(std::move(socket)), options_(options), body_begun_(Clock::now()) {}

bool ClientStream::wait_for(short events, Clock::time_point deadline) const {
  pollfd entry{socket_.get(), events, 0};
  const int ready = ::poll(&entry, 1, milliseconds_until(deadline));
  return ready > 0 || (ready < 0 && errno == EINTR);
}

ClientStream::Fill ClientStream::fill(Clock::time_point deadline, size_t want) {
  thread_local std::array<char, kReadBytes> buffer;
  while (true) {
    const ssize_t got =
        ::recv(socket_.get(), buffer.data(), std::min(want, buffer.size()), MSG_DONTWAIT);
    if (got > 0) {
      in_.append(buffer.data(), static_cast<size_t>(got));
      return Fill::kBytes;
    }
    if (got == 0 || !would_block()) break;
    if (!wait_for(POLLIN, deadline)) return Fill::kTimeout;
  }
  alive_ = false;
  return Fill::kClosed;
}

std::string ClientStream::read_head(std::chrono::milliseconds idle) {
  scanner_.reset();
  Clock::time_point deadline = Clock::now() + (in_.empty() ? idle : options_.head_timeout);
  while (true) {
    while (in_.compare(0, 2, "\r\n") == 0) {  // empty lines before a request are allowed
      in_.erase(0, 2);
      scanner_.reset();
    }
    if (const size_t size = scanner_.scan(in_, options_.head); size > 0) {
      std::string head = in_.substr(0, size);
      in_.erase(0, size);
      return head;
    }
    const bool begun = !in_.empty();
    const Fill result = fill(deadline, options_.head.max_bytes / 2);
    if (result == Fill::kClosed || (result == Fill::kTimeout && !begun)) return {};
    if (result == Fill::kTimeout) throw Refusal(408, "Request head not received in time");
    if (!begun) deadline = Clock::now() + options_.head_timeout;
  }
}

bool ClientStream::skip_body(const Head& head) {
  if (head.framing == Framing::kNone) return true;
  if (head.framing == Framing::kChunked || in_.size() < head.content_length) return false;
  in_.erase(0, head.content_length);
  return true;
}

void ClientStream::replay(std::string head, const Head& framing, size_t body_limit) {
  replay_ = std::move(head);
  replayed_ = 0;
  framing_ = framing.framing;
  body_left_ = framing.content_length;
  body_limit_ = body_limit;
  chunks_ = ChunkedCheck();
  checked_ = 0;
  body_received_ = in_.size();
  body_begun_ = Clock::now();
}

size_t ClientStream::body_bytes() {
  if (framing_ == Framing::kLength) return std::min<uint64_t>(body_left_, in_.size());
  if (framing_ == Framing::kNone) return 0;
  checked_ += chunks_.advance(std::string_view(in_).substr(checked_), body_limit_);
  return checked_;
}

void ClientStream::fill_body() {
  constexpr std::chrono::milliseconds kStep{100};
  const auto end = body_begun_ + options_.body_timeout;
  while (true) {
    const auto now = Clock::now();
    const auto elapsed = now - body_begun_;
    const double seconds = std::chrono::duration<double>(elapsed).count();
    const bool slow = elapsed > options_.body_grace &&
                      double(body_received_) < seconds * double(options_.body_rate);
    if (now > end || slow) throw Refusal(408, "Request body not received in time");
    const size_t before = in_.size();
    const size_t want = framing_ == Framing::kLength ? body_left_ - before : kReadBytes;
    const Fill result = fill(std::min(end, now + kStep), want);
    body_received_ += in_.size() - before;
    if (result != Fill::kTimeout) return;
  }
}

ssize_t ClientStream::read(char* ptr, size_t size) {
  if (replayed_ < replay_.size()) {
    const size_t take = std::min(size, replay_.size() - replayed_);
    std::memcpy(ptr, replay_.data() + replayed_, take);
    replayed_ += take;
    return static_cast<ssize_t>(take);
  }
  const auto ended = [this] {
    return framing_ == Framing::kNone || (framing_ == Framing::kLength && body_left_ == 0) ||
           (framing_ == Framing::kChunked && chunks_.done() && checked_ == 0);
  };
  if (ended()) return 0;
  while (body_bytes() == 0) {
    if (ended()) return 0;
    fill_body();
    if (!alive_) return -1;
  }
  const size_t take = std::min(size, body_bytes());
  std::memcpy(ptr, in_.data(), take);
  in_.erase(0, take);
  if (framing_ == Framing::kLength) body_left_ -= take;
  if (framing_ == Framing::kChunked) checked_ -= take;
  return static_cast<ssize_t>(take);
}

ssize_t ClientStream::write(const char* ptr, size_t size) {
  const auto end = Clock::now() + options_.write_timeout;
  size_t done = 0;
  while (done < size && alive_) {
    const ssize_t put = ::send(socket_.get(), ptr + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      done += static_cast<size_t>(put);
    } else if (put < 0 && would_block()) {
      alive_ = wait_for(POLLOUT, std::min(end, Clock::now() + options_.write_stall));
    } else {
      alive_ = false;
    }
  }
  sent_ += done;
  return alive_ ? static_cast<ssize_t>(done) : -1;
}

bool ClientStream::peer_closed() const {
  pollfd entry{socket_.get(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

void ClientStream::linger() {
  if (!alive_) return;
  ::shutdown(socket_.get(), SHUT_WR);
  const auto deadline = Clock::now() + options_.linger;
  while (Clock::now() < deadline && fill(deadline, kReadBytes) == Fill::kBytes) in_.clear();
}

void ClientStream::interrupt() noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

// Nobody asks: addresses are not logged, and no proxy header is trusted.
void ClientStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void ClientStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace face::http
