// SPDX-License-Identifier: MIT
// server/http_library.h - cpp-httplib at work: message framing, bodies, answers. The only place
// that knows its server; http_stream.h is the socket it sees.
#pragma once

#include <functional>

#include "server/http_stream.h"

namespace face::http {

/// One request and its answer, as the library's callbacks need them.
struct Exchange {
  const Request* request = nullptr;               // null: nothing could be read
  bool with_body = false;                         // the library reads the body and passes it on
  std::function<void(std::string_view)> on_body;  // parts of the body; may throw Refusal
  std::function<Answer()> on_complete;            // the answer, once the body is whole
  std::function<bool(const Answer&)> keep_alive;  // asked once, before the answer is sent

  // Results
  int status = 0;  // of the answer; 0: none was sent
  bool kept_alive = false;
};

/// Threads: exchange() from any number at once.
class Library {
 public:
  Library();
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// Runs one request through cpp-httplib: it is given a head rewritten to what it has to know (so
  /// that ranges, upgrades, proxies and its multipart parser stay out of play), reads the body from
  /// `stream`, calls back, and writes the answer.
  void run(ClientStream& stream, Exchange& exchange, size_t body_limit) const;

 private:
  class Adapter;
  std::unique_ptr<Adapter> adapter_;
};

}  // namespace face::http
