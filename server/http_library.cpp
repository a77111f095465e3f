// SPDX-License-Identifier: MIT
#include "server/http_library.h"

#include <array>
#include <ctime>
#include <limits>
#include <memory>

namespace face::http {
namespace {

thread_local Exchange* t_exchange = nullptr;
thread_local ClientStream* t_stream = nullptr;

/// Date header, formatted once a second per thread.
const std::string& http_date() {
  thread_local std::time_t last = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != last || text.empty()) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 40> buffer{};
    const size_t size =
        std::strftime(buffer.data(), buffer.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    text.assign(buffer.data(), size);
    last = now;
  }
  return text;
}

void put_answer(const Answer& answer, httplib::Response& response) {
  Exchange& exchange = *t_exchange;
  t_stream->end_input();  // the library must not read on for a body that was refused
  exchange.status = answer.status;
  exchange.kept_alive = exchange.keep_alive(answer);
  response.status = answer.status;
  response.headers.clear();
  if (!answer.body.empty() || answer.status != 204)
    response.set_content(answer.body, answer.content_type);
  for (const Header& header : answer.headers) response.set_header(header.name, header.value);
  if (exchange.request == nullptr) return;
  response.set_header("X-Request-Id", exchange.request->id);
  if (exchange.request->head.find("origin") != nullptr)
    response.set_header("Access-Control-Allow-Origin", "*");
}

/// The library's own ideas of what a connection does are replaced by ours.
ssize_t write_headers(httplib::Stream& stream, const httplib::Headers& headers) {
  std::string text = "Date: " + http_date() + "\r\nConnection: ";
  text += t_exchange->kept_alive ? "keep-alive\r\n" : "close\r\n";
  for (const auto& [name, value] : headers) {
    if (name == "Connection" || name == "Keep-Alive" || name == "Accept-Ranges") continue;
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text += "\r\n";
  return stream.write(text.data(), text.size());
}

std::string rewritten_head(const Exchange& exchange) {
  if (exchange.request == nullptr || !exchange.with_body) {
    const bool is_head = exchange.request != nullptr && exchange.request->head.method == "HEAD";
    return std::string(is_head ? "HEAD" : "GET") + " / HTTP/1.1\r\n\r\n";
  }
  const Head& head = exchange.request->head;
  std::string text = "POST / HTTP/1.1\r\n";
  text += head.framing == Framing::kChunked
              ? std::string("Transfer-Encoding: chunked\r\n")
              : "Content-Length: " + std::to_string(head.content_length) + "\r\n";
  if (head.expect_continue) text += "Expect: 100-continue\r\n";
  return text + "\r\n";
}

Answer answer_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Refusal& refusal) {
    Answer answer = detail_answer(refusal.status(), refusal.what());
    answer.close = true;
    return answer;
  } catch (const std::bad_alloc&) {
    return detail_answer(503, "Out of memory, try again");
  } catch (...) {
    return detail_answer(500, "Internal server error");
  }
}

}  // namespace

/// Opens cpp-httplib's request processing to streams that we own.
class Library::Adapter final : public httplib::Server {
 public:
  Adapter() {
    set_payload_max_length(std::numeric_limits<size_t>::max());  // on_body limits, with a message
    set_header_writer([](httplib::Stream& stream, httplib::Headers& headers) {
      return write_headers(stream, headers);
    });
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, const std::exception_ptr& error) {
          put_answer(answer_of(error), response);
        });
    Get("/", [](const httplib::Request&, httplib::Response& response) {
      put_answer(t_exchange->on_complete(), response);
    });
    Post("/", [](const httplib::Request&, httplib::Response& response,
                 const httplib::ContentReader& read) { answer_post(response, read); });
  }

  void run(ClientStream& stream) {
    bool closed = false;
    (void)process_request(stream, "", 0, "", 0, /*close_connection=*/false, closed, nullptr);
  }

 private:
  static void answer_post(httplib::Response& response, const httplib::ContentReader& read) {
    const bool whole = read([](const char* data, size_t size) {
      t_exchange->on_body({data, size});
      return true;
    });
    if (!whole) throw Refusal(400, "Request body ended early");
    put_answer(t_exchange->on_complete(), response);
  }
};

Library::Library() : adapter_(std::make_unique<Adapter>()) {}
Library::~Library() = default;

void Library::run(ClientStream& stream, Exchange& exchange, size_t body_limit) const {
  static const Head kNoBody;
  const bool body_follows = exchange.with_body && exchange.request != nullptr;
  stream.replay(rewritten_head(exchange), body_follows ? exchange.request->head : kNoBody,
                body_limit);
  t_exchange = &exchange;
  t_stream = &stream;
  adapter_->run(stream);
  t_exchange = nullptr;
}

}  // namespace face::http
