// SPDX-License-Identifier: MIT
// server/http_connection.cpp - states, deadlines and bytes of one connection.
#include "server/http_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <random>

namespace face::http {
namespace {

constexpr size_t kReadBytes = size_t{128} << 10;
constexpr size_t kFirstBodyBytes = size_t{64} << 10;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

bool is_plain_id(const std::string& id) {
  constexpr size_t kMaxId = 64;
  return !id.empty() && id.size() <= kMaxId && std::all_of(id.begin(), id.end(), [](char c) {
    return (std::isalnum(static_cast<unsigned char>(c)) != 0 && c > 0) || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string request_id(const Head& head) {
  const std::string* given = head.find("x-request-id");
  if (given != nullptr && is_plain_id(*given)) return *given;
  constexpr std::string_view kHex = "0123456789abcdef";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id;
  for (uint64_t bits = random(); id.size() < 16; bits >>= 4) id += kHex[bits & 15];
  return id;
}

std::string too_large(uint64_t limit) {
  return "Request body is larger than the limit of " + std::to_string(limit) + " bytes";
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Descriptor::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Connection::Connection(uint64_t id, Descriptor socket, LoopShared& shared, Clock::time_point now)
    : id_(id), socket_(std::move(socket)), shared_(shared), since_(now), progress_(now) {}

Connection::~Connection() {
  if (request_ != nullptr) report(request_.get(), 0, 0);
}

std::optional<uint32_t> Connection::wanted_events() const {
  switch (state_) {
    case State::kHead:
    case State::kBody:
    case State::kLinger:
      return EPOLLIN;
    case State::kWriting:
      return EPOLLOUT;
    case State::kHandling:
      if (broken_) return std::nullopt;
      return hung_up_->load() ? 0U : uint32_t(EPOLLRDHUP);
    case State::kDead:
      break;
  }
  return std::nullopt;
}

void Connection::on_events(uint32_t events, Clock::time_point now) {
  if (state_ == State::kHandling) return on_ready_while_handling(events);
  if (state_ == State::kWriting) {
    write_some(now);
  } else {
    read_some(now);
  }
  advance(now);
}

void Connection::on_ready_while_handling(uint32_t events) {
  hung_up_->store(true);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) broken_ = true;
}

void Connection::on_answer(const std::optional<Answer>& answer, const Request& request,
                           Clock::time_point now) {
  if (!answer.has_value() || broken_) {
    report(&request, 0, 0);
    state_ = State::kDead;
    return;
  }
  start_writing(*answer, &request, request.head.keep_alive && !hung_up_->load(), now);
  advance(now);
}

void Connection::on_tick(Clock::time_point now) {
  const ServerOptions& options = shared_.options;
  const auto elapsed = now - since_;
  if (state_ == State::kHead) {
    if (elapsed <= (idle() && !first_ ? options.keep_alive : options.head_timeout)) return;
    if (idle()) {
      state_ = State::kDead;
    } else {
      refuse(408, "Request head not received in time", now);
    }
  } else if (state_ == State::kBody && body_too_slow(now)) {
    refuse_request(Refusal(408, "Request body not received in time"), now);
  } else if (state_ == State::kWriting &&
             (elapsed > options.write_timeout || now - progress_ > options.write_stall)) {
    state_ = State::kDead;
  } else if (state_ == State::kLinger && elapsed > options.linger) {
    state_ = State::kDead;
  }
}

bool Connection::body_too_slow(Clock::time_point now) const {
  const ServerOptions& options = shared_.options;
  const auto elapsed = now - since_;
  if (elapsed > options.body_timeout) return true;
  if (elapsed <= options.body_grace) return false;
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return double(request_->body.size()) < seconds * double(options.body_rate);
}

void Connection::close_if_idle() {
  if (idle() && !first_) state_ = State::kDead;
}

void Connection::refuse(int status, const std::string& detail, Clock::time_point now) {
  start_writing(detail_answer(status, detail), nullptr, false, now);
}

void Connection::read_some(Clock::time_point now) {
  thread_local std::array<char, kReadBytes> buffer;
  size_t want = buffer.size();
  if (state_ == State::kHead) want = shared_.options.head.max_bytes / 2;
  if (state_ == State::kBody && request_->head.framing == Framing::kLength) {
    want = size_t(std::min<uint64_t>(want, request_->head.content_length - request_->body.size()));
  }
  const ssize_t got = ::recv(socket_.get(), buffer.data(), want, 0);
  if (got > 0) {
    take_bytes({buffer.data(), size_t(got)}, now);
  } else if (got == 0 || !would_block()) {
    on_peer_closed();
  }
}

void Connection::take_bytes(std::string_view bytes, Clock::time_point now) {
  if (state_ == State::kLinger) return;
  if (idle()) since_ = now;
  in_.append(bytes);
}

void Connection::on_peer_closed() { state_ = State::kDead; }

void Connection::advance(Clock::time_point now) {
  while (step(now)) {
  }
}

bool Connection::step(Clock::time_point now) {
  try {
    if (state_ == State::kHead) return step_head(now);
    if (state_ == State::kBody) return step_body(now);
  } catch (const Refusal& refusal) {
    refuse_request(refusal, now);
  }
  return false;
}

bool Connection::step_head(Clock::time_point now) {
  if (in_.compare(0, 2, "\r\n") == 0) {  // empty lines before a request are allowed
    in_.erase(0, 2);
    scanner_.reset();
    return !in_.empty();
  }
  const size_t head_size = scanner_.scan(in_, shared_.options.head);
  if (head_size == 0) return false;
  scanner_.reset();
  begin_request(head_size, now);
  return true;
}

void Connection::begin_request(size_t head_size, Clock::time_point now) {
  auto request = std::make_unique<Request>(&shared_.upload_bytes);
  request->received = now;
  request->head = parse_head(std::string_view(in_).substr(0, head_size), shared_.options.head);
  request->id = request_id(request->head);
  in_.erase(0, head_size);
  request_ = std::move(request);
  if (const auto answer = shared_.handler.on_head(*request_)) return answer_head(*answer, now);
  enter(State::kBody, now);
  begin_body();
}

void Connection::answer_head(const Answer& answer, Clock::time_point now) {
  const Head& head = request_->head;
  const bool whole = head.framing == Framing::kNone ||
                     (head.framing == Framing::kLength && in_.size() >= head.content_length);
  if (whole) in_.erase(0, head.content_length);
  const auto request = std::move(request_);
  start_writing(answer, request.get(), whole && head.keep_alive, now);
}

void Connection::begin_body() {
  const Head& head = request_->head;
  body_limit_ = shared_.handler.body_limit(*request_);
  chunks_ = ChunkedDecoder();
  if (head.content_length > body_limit_) throw Refusal(413, too_large(body_limit_));
  const size_t held = shared_.upload_bytes.load();
  if (held + head.content_length > shared_.options.max_upload_bytes) {
    throw Refusal(503, "Too many uploads at once, try again");
  }
  request_->body.reserve(size_t(std::min<uint64_t>(head.content_length, kFirstBodyBytes)));
  if (head.expect_continue && in_.empty() && head.framing != Framing::kNone) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    (void)::send(socket_.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
  }
}

bool Connection::step_body(Clock::time_point now) {
  if (!take_body()) return false;
  dispatch(now);
  return true;
}

bool Connection::take_body() {
  const Head& head = request_->head;
  if (head.framing == Framing::kChunked) {
    const size_t before = request_->body.size();
    in_.erase(0, chunks_.decode(in_, body_limit_, &request_->body));
    hold(request_->body.size() - before);
    return chunks_.done();
  }
  const uint64_t left = head.content_length - request_->body.size();
  const size_t take = size_t(std::min<uint64_t>(left, in_.size()));
  append_body(std::string_view(in_).substr(0, take));
  in_.erase(0, take);
  return request_->body.size() == head.content_length;
}

void Connection::append_body(std::string_view bytes) {
  std::string& body = request_->body;
  // Memory follows what has really arrived: the announced length counts once 1/8 of it is here.
  const size_t announced = size_t(request_->head.content_length);
  const size_t size = body.size() + bytes.size();
  if (body.capacity() < size && size >= announced / 8) body.reserve(announced);
  body.append(bytes);
  hold(bytes.size());
}

void Connection::hold(size_t bytes) {
  if (request_->upload.grow(bytes) > shared_.options.max_upload_bytes) {
    throw Refusal(503, "Too many uploads at once, try again");
  }
}

void Connection::dispatch(Clock::time_point now) {
  hung_up_ = request_->hung_up;
  if (in_.empty()) in_ = std::string();  // its memory too
  enter(State::kHandling, now);
  if (shared_.dispatch(id_, request_)) return;
  const auto request = std::move(request_);
  start_writing(detail_answer(503, "All workers are busy, try again"), request.get(),
                request->head.keep_alive, now);
}

void Connection::refuse_request(const Refusal& refusal, Clock::time_point now) {
  const auto request = std::move(request_);
  start_writing(detail_answer(refusal.status(), refusal.what()), request.get(), false, now);
}

void Connection::start_writing(const Answer& answer, const Request* request, bool keep_alive,
                               Clock::time_point now) {
  keep_alive_ = keep_alive && !answer.close && !shared_.draining.load();
  out_ = serialise(answer, request, keep_alive_);
  sent_ = 0;
  report(request, answer.status, out_.size());
  enter(State::kWriting, now);
  progress_ = now;
  write_some(now);
}

void Connection::write_some(Clock::time_point now) {
  while (sent_ < out_.size()) {
    const ssize_t put =
        ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (put <= 0) {
      if (put < 0 && !would_block()) state_ = State::kDead;
      return;
    }
    sent_ += size_t(put);
    progress_ = now;
  }
  finish_writing(now);
}

void Connection::finish_writing(Clock::time_point now) {
  out_ = std::string();
  first_ = false;
  enter(keep_alive_ ? State::kHead : State::kLinger, now);
  if (keep_alive_) return;
  in_.clear();
  ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::enter(State state, Clock::time_point now) {
  state_ = state;
  since_ = now;
}

void Connection::report(const Request* request, int status, size_t answer_bytes) {
  shared_.handler.on_done({request, status, answer_bytes});
}

}  // namespace face::http
