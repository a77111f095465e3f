// SPDX-License-Identifier: MIT
// tests/server/http_server_test.cpp - the HTTP front over loopback: hostile bytes, pipelining,
// paths, headers, early answers.
#include "server/http_server.h"

#include <gtest/gtest.h>

#include "tests/server/echo_server.h"
#include "tests/server/raw_client.h"

namespace face::http {
namespace {

using face::test::post;
using face::test::RawAnswer;
using face::test::RawClient;
using test::detect;
using test::kCanary;
using test::kGet;
using test::Running;
using namespace std::chrono_literals;

struct RefusalCase {
  const char* name;
  std::string bytes;
  int status;
  const char* detail;
};
std::ostream& operator<<(std::ostream& out, const RefusalCase& row) { return out << row.name; }

// Each is followed by a canary on the same connection that must never be answered.
const RefusalCase kRefusals[] = {
    {"bare_lf", "GET / HTTP/1.1\nHost: x\n\n", 400, "Line feed"},
    {"bare_lf_in_header", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, "Line feed"},
    {"nul", std::string("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 27), 400, "NUL"},
    {"no_version", "GET /\r\nHost: x\r\n\r\n", 400, "request line"},
    {"two_spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "request line"},
    {"not_http", "GET / FTP/1.1\r\nHost: x\r\n\r\n", 400, "request line"},
    {"http_2", "PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/1.1"},
    {"method_not_token", "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "request line"},
    {"bad_escape", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "percent"},
    {"escaped_nul", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "Control"},
    {"obs_fold", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, "Folded"},
    {"space_before_colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "header line"},
    {"no_colon", "GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n", 400, "header line"},
    {"empty_name", "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400, "header line"},
    {"bare_cr", "GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400, "Control"},
    {"no_host", "GET / HTTP/1.1\r\n\r\n", 400, "Host"},
    {"two_hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "Host"},
    {"two_lengths", detect("Content-Length: 6\r\nContent-Length: 6\r\n"), 400, "More than one"},
    {"length_list", detect("Content-Length: 6, 6\r\n"), 400, "plain number"},
    {"length_plus", detect("Content-Length: +5\r\n"), 400, "plain number"},
    {"length_minus", detect("Content-Length: -5\r\n"), 400, "plain number"},
    {"length_hex", detect("Content-Length: 0x5\r\n"), 400, "plain number"},
    {"length_empty", detect("Content-Length:\r\n"), 400, "plain number"},
    {"length_huge", detect("Content-Length: 99999999999999999999\r\n"), 400, "plain number"},
    {"length_and_coding", detect("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"), 400,
     "Both"},
    {"coding_list", detect("Transfer-Encoding: chunked, x\r\n"), 400, "other than chunked"},
    {"coding_gzip", detect("Transfer-Encoding: gzip\r\n"), 400, "other than chunked"},
    {"coding_twice", detect("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
     "other than chunked"},
    {"chunk_minus", detect("Transfer-Encoding: chunked\r\n") + "-2\r\nab\r\n0\r\n\r\n", 400,
     "chunk size"},
    {"chunk_0x", detect("Transfer-Encoding: chunked\r\n") + "0x2\r\nab\r\n0\r\n\r\n", 400,
     "chunk size"},
    {"chunk_overflow", detect("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\n", 400,
     "chunk size"},
    {"chunk_overlong", detect("Transfer-Encoding: chunked\r\n") + "2\r\nabc\r\n0\r\n\r\n", 400,
     "Line|longer"},
    {"chunk_bare_lf", detect("Transfer-Encoding: chunked\r\n") + "2\nab\r\n0\r\n\r\n", 400,
     "Line feed"},
    {"chunks_too_many", detect("Transfer-Encoding: chunked\r\n") + "fffffff\r\n", 413, "1000000"},
    {"body_too_large", detect("Content-Length: 1000001\r\n"), 413, "1000000"},
    {"body_10_gb", detect("Content-Length: 10000000000\r\n"), 413, "1000000"},
    {"expectation", detect("Expect: miracles\r\nContent-Length: 3\r\n") + "abc", 417,
     "expectation"},
    {"long_target", "GET /" + std::string(3'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414,
     "too long"},
    {"endless_target", "GET /" + std::string(60'000, 'a'), 414, "too long"},
    {"many_headers",
     "GET / HTTP/1.1\r\nHost: x\r\n" +
         [] {
           std::string lines;
           for (int i = 0; i < 100; ++i) lines += "A: b\r\n";
           return lines;
         }() +
         "\r\n",
     431, "Too many"},
    {"endless_header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(60'000, 'a'), 431,
     "too large"},
};

class Refusals : public testing::TestWithParam<RefusalCase> {};

TEST_P(Refusals, AnswersAndCloses) {
  Running server;
  RawClient client(server.port());
  client.send(GetParam().bytes + kCanary);
  const RawAnswer answer = client.receive();
  EXPECT_EQ(answer.status, GetParam().status);
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  const std::string wanted = GetParam().detail;
  const bool either = answer.body.find(wanted.substr(0, wanted.find('|'))) != std::string::npos ||
                      answer.body.find(wanted.substr(wanted.find('|') + 1)) != std::string::npos;
  EXPECT_TRUE(either) << answer.body;
  client.finish_sending();
  EXPECT_TRUE(client.closes());
  EXPECT_EQ(server.handler.handled, 0);
}
INSTANTIATE_TEST_SUITE_P(Table, Refusals, testing::ValuesIn(kRefusals),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  Running server;
  RawClient client(server.port());
  client.send(std::string(kGet) + post("/detect", "one") + kGet + post("/detect", "two"));
  for (const char* wanted : {"alive", "one", "alive", "two"}) {
    EXPECT_EQ(client.receive().body, wanted);
  }
}

TEST(HttpServer, EverySplitGivesTheSameAnswer) {
  Running server;
  const std::string plain = post("/detect", "some body", "A: b\r\n");
  const std::string chunked =
      detect("Transfer-Encoding: chunked\r\n") + "5;x=y\r\nsome \r\n4\r\nbody\r\n0\r\nT: u\r\n\r\n";
  for (const std::string& request : {plain, chunked}) {
    RawClient client(server.port());
    for (size_t cut = 1; cut < request.size(); ++cut) {
      client.send(request.substr(0, cut));
      if (cut % 8 == 0) std::this_thread::sleep_for(1ms);
      client.send(request.substr(cut));
      ASSERT_EQ(client.receive().body, "some body") << cut;
    }
  }
}

TEST(HttpServer, OneByteAtATime) {
  Running server;
  RawClient client(server.port());
  for (const char c : post("/detect", "drop by drop")) client.send(std::string(1, c));
  EXPECT_EQ(client.receive().body, "drop by drop");
}

TEST(HttpServer, HeadAndVersions) {
  Running server;
  RawClient client(server.port());
  RawAnswer answer = client.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers["content-length"], "5");
  EXPECT_EQ(client.ask(kGet).body, "alive");  // HEAD left no body behind
  answer = client.ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(answer.headers["connection"], "close");
  EXPECT_TRUE(client.closes());

  RawClient old(server.port());
  EXPECT_EQ(old.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").headers["connection"],
            "keep-alive");
  EXPECT_EQ(
      old.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n").headers["connection"],
      "close");
  EXPECT_TRUE(old.closes());
}

TEST(HttpServer, IgnoresRangeUpgradeAndForwardedFor) {
  Running server;
  RawClient client(server.port());
  const RawAnswer answer = client.ask(
      "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nX-Forwarded-For: ,\r\nREMOTE_ADDR: 1.2.3.4\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "alive");
}

struct PathCase {
  const char* target;
  const char* path;
};
TEST(HttpServer, PathsAreNormalised) {
  for (const PathCase& row : {PathCase{"/", "/"},
                              {"//", "/"},
                              {"//detect", "/detect"},
                              {"/detect/", "/detect"},
                              {"/detect?a=b//c", "/detect"},
                              {"/%64etect", "/detect"},
                              {"///a///b//", "/a/b"},
                              {"http://host:1/detect", "/detect"},
                              {"http://host", "/"},
                              {"/detect#x", "/detect"},
                              {"*", "*"}}) {
    EXPECT_EQ(normalise_path(row.target), row.path) << row.target;
  }
}

TEST(HttpServer, RequestIdsAreKeptOrMade) {
  Running server;
  RawClient client(server.port());
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: ";
  EXPECT_EQ(client.ask(head + "a-b_c.1\r\n\r\n").headers["x-request-id"], "a-b_c.1");
  const std::string made = client.ask(head + "a b\"\r\n\r\n").headers["x-request-id"];
  EXPECT_EQ(made.size(), 16U);
  EXPECT_EQ(made.find(' '), std::string::npos);
}

TEST(HttpServer, AllowsOriginOnlyWhenOneIsSent) {
  Running server;
  RawClient client(server.port());
  EXPECT_EQ(client.ask(kGet).headers.count("access-control-allow-origin"), 0U);
  RawAnswer answer = client.ask("GET /none HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.headers["access-control-allow-origin"], "*");
}

TEST(HttpServer, ExpectationIsHonoured) {
  Running server;
  RawClient client(server.port());
  client.send(detect("Content-Length: 4\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client.receive().status, 100);
  client.send("body");
  EXPECT_EQ(client.receive().body, "body");
  RawClient large(server.port());
  EXPECT_EQ(large.ask(detect("Content-Length: 1000001\r\nExpect: 100-continue\r\n")).status, 413);
}

TEST(HttpServer, RefusalIsSeenWhileTheBodyIsStillComing) {
  Running server;
  for (int i = 0; i < 20; ++i) {
    RawClient client(server.port());
    const std::string block(1 << 20, 'x');
    client.send(detect("Content-Length: 50000000\r\n"));
    for (int sent = 0; sent < 16 && client.send(block); ++sent) {
    }
    EXPECT_EQ(client.receive().status, 413);
  }
}

TEST(HttpServer, EarlyAnswerKeepsTheConnectionIfTheBodyIsThere) {
  Running server;
  RawClient client(server.port());
  client.send(post("/none", "small") + kGet);
  EXPECT_EQ(client.receive().status, 404);
  EXPECT_EQ(client.receive().body, "alive");
}

TEST(HttpServer, ExceptionsAreA500WithoutTheirText) {
  Running server;
  RawClient client(server.port());
  const RawAnswer answer = client.ask(post("/detect", "throw"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, R"({"detail":"Internal server error"})");
}

}  // namespace
}  // namespace face::http
