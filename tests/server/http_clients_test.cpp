// SPDX-License-Identifier: MIT
// tests/server/http_clients_test.cpp - the HTTP front over loopback: slow and vanished clients,
// limits, overload, drain. Deadlines are short by option; none is measured.
#include <gtest/gtest.h>

#include "server/http_server.h"
#include "tests/server/echo_server.h"
#include "tests/server/raw_client.h"

namespace face::http {
namespace {

using face::test::post;
using face::test::RawAnswer;
using face::test::RawClient;
using test::detect;
using test::EchoHandler;
using test::kGet;
using test::quick_options;
using test::Running;
using namespace std::chrono_literals;

TEST(HttpClients, FullQueueIs503AndHealthStillAnswers) {
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

TEST(HttpClients, HangUpInTheQueueDropsTheRequest) {
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

TEST(HttpClients, HangUpDuringUploadFreesItsBytes) {
  Running server;
  {
    RawClient client(server.port());
    client.send(detect("Content-Length: 900000\r\n") + std::string(500'000, 'x'));
    while (server.server.stats().upload_bytes < 500'000) std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(server.handler.await_done(1), std::vector<int>{0});
  EXPECT_TRUE(server.settles());
}

TEST(HttpClients, SlowHeadAndSlowBodyGet408) {
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

TEST(HttpClients, DrippedHeadIsNotKeptAliveByItsDrops) {
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

TEST(HttpClients, BodyTimeoutIsForTheWholeBody) {
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

TEST(HttpClients, ClientThatNeverReadsIsDropped) {
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

TEST(HttpClients, UploadsTogetherAreLimited) {
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

TEST(HttpClients, OldestIdleConnectionMakesRoomForANewOne) {
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

TEST(HttpClients, BusyConnectionsOverTheCapAreTold) {
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

TEST(HttpClients, DrainAnswersWhatWasAcceptedAndEnds) {
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

TEST(HttpClients, ListenErrorsNameHostPortAndReason) {
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
