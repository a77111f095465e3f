// SPDX-License-Identifier: MIT
// server/http_message.cpp - answers that carry a detail.
#include "server/http_message.h"

#include <random>

#include "server/json_writer.h"

namespace face::http {
namespace {

int retry_after_seconds() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<int>(1, 3)(random);
}

}  // namespace

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

}  // namespace face::http
