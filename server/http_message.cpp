// SPDX-License-Identifier: MIT
// server/http_message.cpp - answers as bytes.
#include "server/http_message.h"

#include <array>
#include <ctime>
#include <random>

#include "server/json_writer.h"

namespace face::http {
namespace {

struct Reason {
  int status;
  const char* phrase;
};
constexpr std::array<Reason, 16> kReasons{{{200, "OK"},
                                           {204, "No Content"},
                                           {400, "Bad Request"},
                                           {404, "Not Found"},
                                           {405, "Method Not Allowed"},
                                           {408, "Request Timeout"},
                                           {413, "Content Too Large"},
                                           {414, "URI Too Long"},
                                           {415, "Unsupported Media Type"},
                                           {417, "Expectation Failed"},
                                           {422, "Unprocessable Content"},
                                           {431, "Request Header Fields Too Large"},
                                           {500, "Internal Server Error"},
                                           {503, "Service Unavailable"},
                                           {505, "HTTP Version Not Supported"},
                                           {100, "Continue"}}};

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

int retry_after_seconds() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<int>(1, 3)(random);
}

void add(std::string* out, std::string_view name, std::string_view value) {
  out->append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

const char* reason_phrase(int status) {
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.phrase;
  }
  return "Unknown";
}

Answer detail_answer(int status, std::string_view text) {
  Answer answer;
  answer.status = status;
  answer.body = "{\"detail\":";
  append_json_string(&answer.body, text);
  answer.body += '}';
  if (status == 503)
    answer.headers.push_back({"Retry-After", std::to_string(retry_after_seconds())});
  return answer;
}

std::string serialise(const Answer& answer, const Request* request, bool keep_alive) {
  std::string out;
  out.reserve(512 + answer.body.size());
  out.append("HTTP/1.1 ").append(std::to_string(answer.status)).append(" ");
  out.append(reason_phrase(answer.status)).append("\r\n");
  add(&out, "Date", http_date());
  add(&out, "Content-Type", answer.content_type);
  add(&out, "Content-Length", std::to_string(answer.body.size()));
  add(&out, "Connection", keep_alive ? "keep-alive" : "close");
  for (const Header& header : answer.headers) add(&out, header.name, header.value);
  if (request != nullptr) {
    add(&out, "X-Request-Id", request->id);
    if (request->head.find("origin") != nullptr) add(&out, "Access-Control-Allow-Origin", "*");
  }
  out.append("\r\n");
  if (request == nullptr || request->head.method != "HEAD") out.append(answer.body);
  return out;
}

}  // namespace face::http
