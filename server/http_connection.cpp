// SPDX-License-Identifier: MIT
// server/http_connection.cpp - the life of a connection: head, admission, body, work, answer.
#include "server/http_connection.h"

#include <algorithm>
#include <cctype>
#include <random>

#include "server/http_library.h"

namespace face::http {
namespace {

constexpr size_t kFirstBodyBytes = size_t{64} << 10;

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

/// The client left before an answer.
struct HungUp {};

/// Appends to a body. Memory follows what has really arrived: the announced length counts once 1/8
/// of it is here.
void append(Request& request, std::string_view bytes, size_t max_total) {
  std::string& body = request.body;
  const auto announced = static_cast<size_t>(request.head.content_length);
  const size_t size = body.size() + bytes.size();
  if (body.capacity() < size && size >= announced / 8) body.reserve(announced);
  body.append(bytes);
  if (request.upload.grow(bytes.size()) > max_total)
    throw Refusal(503, "Too many uploads at once, try again");
}

}  // namespace

Connection::Connection(Descriptor socket, Shared& shared)
    : shared_(shared),
      stream_(std::move(socket), shared.options),
      since_(Clock::now().time_since_epoch()) {}

void Connection::serve() noexcept {
  try {
    while (serve_one()) {
    }
    stream_.linger();
  } catch (...) {
    // Out of memory, or a handler that throws where it must not: this connection ends.
  }
}

void Connection::refuse(int status, const std::string& detail) noexcept {
  try {
    refuse_request(nullptr, Refusal(status, detail));
    stream_.linger();
  } catch (...) {
    // As in serve().
  }
}

bool Connection::serve_one() {
  const ServerOptions& options = shared_.options;
  enter(Phase::kIdle);
  if (answered_ && !shared_.listening && stream_.drained()) return false;
  Request request(&shared_.upload_bytes);
  try {
    const std::string head =
        stream_.read_head(answered_ ? options.keep_alive : options.head_timeout);
    if (head.empty()) return false;
    enter(Phase::kReading);
    request.received = Clock::now();
    request.head = parse_head(head, options.head);
    request.id = request_id(request.head);
  } catch (const Refusal& refusal) {
    refuse_request(nullptr, refusal);
    return false;
  }
  return answer_request(request);
}

bool Connection::answer_request(Request& request) {
  try {
    if (const auto answer = shared_.handler.on_head(request)) return answer_head(request, *answer);
    return receive_and_answer(request);
  } catch (const Refusal& refusal) {
    refuse_request(&request, refusal);
  } catch (const HungUp&) {
    report(&request, 0, 0);
  }
  return false;
}

bool Connection::answer_head(Request& request, const Answer& answer) {
  const bool whole = stream_.skip_body(request.head);
  const bool keep_alive = whole && request.head.keep_alive && !answer.close && !shared_.draining;
  send(&request, answer, keep_alive);
  return keep_alive && stream_.alive();
}

bool Connection::receive_and_answer(Request& request) {
  const size_t limit = shared_.handler.body_limit(request);
  const std::string too_large =
      "Request body is larger than the limit of " + std::to_string(limit) + " bytes";
  const uint64_t announced = request.head.content_length;
  if (announced > limit) throw Refusal(413, too_large);
  if (shared_.upload_bytes.load() + announced > shared_.options.max_upload_bytes)
    throw Refusal(503, "Too many uploads at once, try again");
  request.body.reserve(std::min<uint64_t>(announced, kFirstBodyBytes));

  bool gone = false, reported = false;
  Exchange exchange;
  exchange.request = &request;
  exchange.with_body = request.head.framing != Framing::kNone;
  exchange.on_body = [&](std::string_view bytes) {
    if (request.body.size() + bytes.size() > limit) throw Refusal(413, too_large);
    append(request, bytes, shared_.options.max_upload_bytes);
  };
  exchange.on_complete = [&] {
    Answer answer;
    gone = !work_on(request, &answer);
    if (gone) stream_.interrupt();
    return answer;
  };
  exchange.keep_alive = [&](const Answer& answer) {
    enter(Phase::kWriting);
    const bool keep =
        request.head.keep_alive && !answer.close && !shared_.draining && !request.hung_up->load();
    reported = !gone && stream_.alive();
    if (reported) report(&request, answer.status, answer.body.size());
    return keep;
  };
  shared_.library.run(stream_, exchange, limit);
  answered_ = true;
  if (!reported) throw HungUp();
  return exchange.kept_alive && stream_.alive();
}

bool Connection::work_on(Request& request, Answer* answer) {
  {
    const std::lock_guard lock(watched_mutex_);
    watched_ = request.hung_up;
  }
  enter(Phase::kHandling);
  const Gate::Entry entry = shared_.gate.enter(*request.hung_up);
  std::optional<Answer> result;
  if (entry == Gate::Entry::kFull) result = detail_answer(503, "All workers are busy, try again");
  if (entry == Gate::Entry::kIn) {
    try {
      result = shared_.handler.on_request(request);
    } catch (...) {
      shared_.gate.leave();
      throw;
    }
    shared_.gate.leave();
  }
  {
    const std::lock_guard lock(watched_mutex_);
    watched_ = nullptr;
  }
  if (!result) return false;
  *answer = std::move(*result);
  return true;
}

void Connection::refuse_request(const Request* request, const Refusal& refusal) {
  send(request, detail_answer(refusal.status(), refusal.what()), false);
}

void Connection::send(const Request* request, const Answer& answer, bool keep_alive) {
  enter(Phase::kWriting);
  report(request, answer.status, answer.body.size());
  Exchange exchange;
  exchange.request = request;
  exchange.on_complete = [&] { return answer; };
  exchange.keep_alive = [&](const Answer&) { return keep_alive; };
  shared_.library.run(stream_, exchange, 0);
  answered_ = true;
}

void Connection::watch_hang_up() {
  const std::lock_guard lock(watched_mutex_);
  if (watched_ == nullptr || watched_->load() || !stream_.peer_closed()) return;
  watched_->store(true);
  shared_.gate.wake_gone();
}

void Connection::enter(Phase phase) {
  since_ = Clock::now().time_since_epoch();
  phase_ = phase;
}

void Connection::report(const Request* request, int status, size_t answer_bytes) {
  shared_.handler.on_done({request, status, answer_bytes});
}

}  // namespace face::http
