// SPDX-License-Identifier: MIT
// server/http_message.h - HTTP/1.1 messages as values: what a client asked, what it is told.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace face::http {

using Clock = std::chrono::steady_clock;

struct Header {
  std::string name;  // lower case in requests, as it is sent in answers
  std::string value;
};

/// How the end of a body is found.
enum class Framing { kNone, kLength, kChunked };

/// A checked request line and header block.
struct Head {
  std::string method;
  std::string target;  // as sent
  std::string path;    // of the target: percent-decoded, "//" and a last "/" removed, no query
  bool http_1_1 = true;
  std::vector<Header> headers;
  Framing framing = Framing::kNone;
  uint64_t content_length = 0;  // kLength only
  bool keep_alive = true;
  bool expect_continue = false;

  /// Value of the first header of that name (lower case), or nullptr.
  [[nodiscard]] const std::string* find(std::string_view name) const;
};

/// Counts bytes against a total that connections share, for as long as it lives.
class Lease {
 public:
  Lease() = default;
  explicit Lease(std::atomic<size_t>* total) : total_(total) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (total_ != nullptr) total_->fetch_sub(bytes_);
  }
  /// Adds `bytes`; returns the new total of all leases.
  size_t grow(size_t bytes) {
    bytes_ += bytes;
    return total_ == nullptr ? 0 : total_->fetch_add(bytes) + bytes;
  }

 private:
  std::atomic<size_t>* total_ = nullptr;
  size_t bytes_ = 0;
};

/// One request. Lives from its head's arrival until its answer is handed to the connection.
struct Request {
  Request() = default;
  explicit Request(std::atomic<size_t>* upload_total) : upload(upload_total) {}

  Head head;
  std::string body;
  Lease upload;      // of `body`
  std::string note;  // what the handler wants in the log, as " key=value ..."
  std::string id;    // X-Request-Id: the client's if it is a short plain word, else made here
  Clock::time_point received = Clock::now();
  /// Becomes true when the client closes its side before it has an answer.
  std::shared_ptr<std::atomic<bool>> hung_up = std::make_shared<std::atomic<bool>>(false);
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<Header> headers;
  bool close = false;  // end the connection after this answer
};

/// {"detail": text} with that status; 503 gets a Retry-After of 1 to 3 s.
[[nodiscard]] Answer detail_answer(int status, std::string_view text);

/// A request that breaks HTTP or a limit: the answer's status, what() its detail.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& detail) : std::runtime_error(detail), status_(status) {}
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

}  // namespace face::http
