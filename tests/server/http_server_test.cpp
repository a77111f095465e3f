// SPDX-License-Identifier: MIT
// tests/server/http_server_test.cpp - the HTTP front over loopback: hostile bytes, slow and
// vanished clients, limits, pipelining, drain. Deadlines are short by option; none is measured.
#include "server/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/server/raw_client.h"

namespace face::http {
namespace {

using test::post;
using test::RawAnswer;
using test::RawClient;
using namespace std::chrono_literals;

/// Echoes bodies; a body "wait" blocks until open() is called.
class EchoHandler : public Handler {
 public:
  std::optional<Answer> on_head(const Request& request) override {
    if (request.head.path == "/") return Answer{200, "text/plain", "alive", {}, false};
    if (request.head.path == "/detect") return std::nullopt;
    return detail_answer(404, "Not Found");
  }
  size_t body_limit(const Request&) override { return 1'000'000; }
  std::optional<Answer> on_request(Request& request) override {
    if (request.body == "wait") {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
    }
    if (request.body == "throw") throw std::runtime_error("a secret");
    ++handled;
    return Answer{200, "text/plain", request.body, {}, false};
  }
  void on_done(const Outcome& outcome) override {
    const std::lock_guard lock(mutex_);
    statuses_.push_back(outcome.status);
    changed_.notify_all();
  }

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void await_waiting(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }
  /// Waits until `count` requests have ended; their statuses.
  std::vector<int> await_done(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return statuses_.size() >= count; });
    return statuses_;
  }

  std::atomic<int> handled{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> statuses_;
  int waiting_ = 0;
  bool open_ = false;
};

ServerOptions quick_options() {
  ServerOptions options;
  options.host = "127.0.0.1";
  options.port = 0;
  options.workers = 2;
  options.max_pending = 2;
  options.linger = 500ms;
  return options;
}

/// A server on a free port, drained at the end.
class Running {
 public:
  explicit Running(const ServerOptions& options = quick_options())
      : server(handler, options), thread_([this] { server.run(); }) {}
  ~Running() {
    handler.open();
    stop();
  }
  void stop() {
    server.drain(0ms);
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return server.port(); }
  /// True once no connection is open and no body is held.
  bool settles() const {
    for (int i = 0; i < 200; ++i) {
      const ServerStats stats = server.stats();
      if (stats.connections + stats.pending + stats.working + stats.upload_bytes == 0) return true;
      std::this_thread::sleep_for(50ms);
    }
    return false;
  }

  EchoHandler handler;
  Server server;

 private:
  std::thread thread_;
};

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr const char* kCanary =
    "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\ncanary";

struct RefusalCase {
  const char* name;
  std::string bytes;
  int status;
  const char* detail;
};
std::ostream& operator<<(std::ostream& out, const RefusalCase& row) { return out << row.name; }

std::string detect(const std::string& headers) {
  return "POST /detect HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

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

TEST(HttpServer, FullQueueIs503AndHealthStillAnswers) {
  Running server;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {  // two workers, two places in the queue
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(post("/detect", "wait"));
    server.handler.await_waiting(std::min(i + 1, 2));
  }
  while (server.server.stats().pending < 2) std::this_thread::sleep_for(1ms);
  RawClient late(server.port());
  const RawAnswer answer = late.ask(post("/detect", "late"));
  EXPECT_EQ(answer.status, 503);
  const int seconds = std::atoi(answer.headers.at("retry-after").c_str());
  EXPECT_TRUE(seconds >= 1 && seconds <= 5) << seconds;
  EXPECT_EQ(late.ask(kGet).body, "alive");  // on the same connection, while everything is busy
  server.handler.open();
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 200);
}

TEST(HttpServer, HangUpInTheQueueDropsTheRequest) {
  Running server;
  RawClient first(server.port());
  RawClient second(server.port());
  first.send(post("/detect", "wait"));
  second.send(post("/detect", "wait"));
  server.handler.await_waiting(2);
  {
    RawClient third(server.port());
    RawClient fourth(server.port());
    third.send(post("/detect", "gone"));
    fourth.send(post("/detect", "gone"));
    while (server.server.stats().pending < 2) std::this_thread::sleep_for(1ms);
  }
  while (server.server.stats().pending > 0) std::this_thread::sleep_for(1ms);
  server.handler.open();
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_EQ(second.receive().status, 200);
  const std::vector<int> statuses = server.handler.await_done(4);
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 0), 2);
  EXPECT_EQ(server.handler.handled, 2);
  first.hang_up();
  second.hang_up();
  EXPECT_TRUE(server.settles());
}

TEST(HttpServer, HangUpDuringUploadFreesItsBytes) {
  Running server;
  {
    RawClient client(server.port());
    client.send(detect("Content-Length: 900000\r\n") + std::string(500'000, 'x'));
    while (server.server.stats().upload_bytes < 500'000) std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(server.handler.await_done(1), std::vector<int>{0});
  EXPECT_TRUE(server.settles());
}

TEST(HttpServer, SlowHeadAndSlowBodyGet408) {
  ServerOptions options = quick_options();
  options.head_timeout = 300ms;
  options.body_grace = 200ms;
  Running server(options);
  RawClient head(server.port());
  RawClient body(server.port());
  RawClient silent(server.port());
  head.send("GET / HTT");
  body.send(detect("Content-Length: 1000\r\n") + "abc");
  EXPECT_EQ(RawClient(server.port()).ask(kGet).body, "alive");
  EXPECT_EQ(head.receive().status, 408);
  EXPECT_EQ(body.receive().status, 408);
  EXPECT_TRUE(silent.closes());
  for (RawClient* client : {&head, &body, &silent}) client->hang_up();
  EXPECT_TRUE(server.settles());
}

TEST(HttpServer, DrippedHeadIsNotKeptAliveByItsDrops) {
  ServerOptions options = quick_options();
  options.head_timeout = 400ms;
  Running server(options);
  RawClient client(server.port());
  bool open = client.send("GET / HTTP/1.1\r\nHost: x\r\n");
  for (int i = 0; i < 100 && open; ++i) {
    std::this_thread::sleep_for(50ms);
    open = client.send("A: b\r\n");
  }
  EXPECT_FALSE(open);
}

TEST(HttpServer, BodyTimeoutIsForTheWholeBody) {
  ServerOptions options = quick_options();
  options.body_timeout = 300ms;
  options.body_rate = 1;
  Running server(options);
  RawClient client(server.port());
  client.send(detect("Content-Length: 100000\r\n"));
  bool open = true;
  for (int i = 0; i < 100 && open; ++i) {
    std::this_thread::sleep_for(50ms);
    open = client.send(std::string(500, 'x'));
  }
  EXPECT_FALSE(open);
}

TEST(HttpServer, ClientThatNeverReadsIsDropped) {
  ServerOptions options = quick_options();
  options.write_stall = 300ms;
  options.max_upload_bytes = size_t{64} << 20;
  Running server(options);
  RawClient client(server.port());
  const std::string body(900'000, 'x');
  for (int i = 0; i < 40 && client.send(post("/detect", body)); ++i) {
  }
  for (int i = 0; i < 200 && server.server.stats().connections > 0; ++i) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(server.server.stats().connections, 0U);
}

TEST(HttpServer, UploadsTogetherAreLimited) {
  ServerOptions options = quick_options();
  options.max_upload_bytes = 1'000'000;
  Running server(options);
  RawClient first(server.port());
  first.send(detect("Content-Length: 900000\r\n") + std::string(600'000, 'x'));
  while (server.server.stats().upload_bytes < 600'000) std::this_thread::sleep_for(1ms);
  RawClient second(server.port());
  const RawAnswer answer = second.ask(detect("Content-Length: 900000\r\n"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.count("retry-after"), 1U);
  first.send(std::string(300'000, 'x'));
  EXPECT_EQ(first.receive().status, 200);
}

TEST(HttpServer, OldestIdleConnectionMakesRoomForANewOne) {
  ServerOptions options = quick_options();
  options.max_connections = 3;
  Running server(options);
  RawClient oldest(server.port());
  EXPECT_EQ(oldest.ask(kGet).status, 200);
  std::this_thread::sleep_for(5ms);
  RawClient second(server.port());
  RawClient third(server.port());
  EXPECT_EQ(second.ask(kGet).status, 200);
  EXPECT_EQ(third.ask(kGet).status, 200);
  EXPECT_EQ(RawClient(server.port()).ask(kGet).status, 200);
  EXPECT_TRUE(oldest.closes());
}

TEST(HttpServer, BusyConnectionsOverTheCapAreTold) {
  ServerOptions options = quick_options();
  options.max_connections = 2;
  Running server(options);
  RawClient first(server.port());
  RawClient second(server.port());
  first.send(post("/detect", "wait"));
  second.send(post("/detect", "wait"));
  server.handler.await_waiting(2);
  RawClient third(server.port());
  const RawAnswer answer = third.receive();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.count("retry-after"), 1U);
  server.handler.open();
  EXPECT_EQ(first.receive().status, 200);
}

TEST(HttpServer, DrainAnswersWhatWasAcceptedAndEnds) {
  auto server = std::make_unique<Running>();
  RawClient busy(server->port());
  RawClient idle(server->port());
  EXPECT_EQ(idle.ask(kGet).headers["connection"], "keep-alive");
  busy.send(post("/detect", "wait"));
  server->handler.await_waiting(1);
  server->server.drain(300ms);
  RawClient late(server->port());
  const RawAnswer answer = late.ask(post("/detect", "still served"));
  EXPECT_EQ(answer.body, "still served");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(idle.closes());
  server->handler.open();
  EXPECT_EQ(busy.receive().body, "wait");
  late.hang_up();
  busy.hang_up();
  const int port = server->port();
  server.reset();
  EXPECT_FALSE(RawClient(port).connected());
}

TEST(HttpServer, ListenErrorsNameHostPortAndReason) {
  Running server;
  ServerOptions options = quick_options();
  options.port = server.port();
  EchoHandler handler;
  try {
    const Server second(handler, options);
    FAIL() << "no error";
  } catch (const std::exception& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("127.0.0.1"), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(options.port)), std::string::npos) << text;
    EXPECT_NE(text.find("in use"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace face::http
