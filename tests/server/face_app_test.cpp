// SPDX-License-Identifier: MIT
// tests/server/face_app_test.cpp - the contract over loopback on a null engine: every row of
// routes, states and errors, batching, overload, hang-ups, failures, drain, metrics.
#include "server/face_app.h"

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/server/null_engine.h"
#include "tests/server/raw_client.h"

namespace face {
namespace {

using nlohmann::json;
using test::form_part;
using test::kFormType;
using test::post;
using test::post_picture;
using test::RawAnswer;
using test::RawClient;
using namespace std::chrono_literals;

constexpr const char* kMissingFile =
    R"({"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]})";
constexpr const char* kMissingFiles =
    R"({"detail":[{"type":"missing","loc":["body","files"],"msg":"Field required","input":null}]})";

std::string get(const std::string& path, const std::string& headers = {}) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}

struct WorkerOptions {
  AppOptions app;
  http::ServerOptions http;
  WorkerOptions() {
    app.max_body = 1'000'000;
    app.max_batch_body = 2'000'000;
    app.max_batch_files = 8;
    http.host = "127.0.0.1";
    http.port = 0;
    http.workers = 12;
    http.linger = 500ms;
  }
};

/// Application and server on a free port.
class Worker {
 public:
  explicit Worker(WorkerOptions options = {}, bool load_now = true)
      : app_(with_callbacks(std::move(options.app))), server_(app_, options.http) {
    loop_ = std::thread([this] { server_.run(); });
    if (load_now) load();
  }
  ~Worker() {
    control->open_gate();
    server_.drain(0ms);
    loop_.join();
  }
  void load() {
    app_.load([this] { return std::make_unique<test::NullService>(control); },
              test::null_decoder());
    while (app_.service_info() == nullptr) std::this_thread::sleep_for(1ms);
  }
  void load_failing() {
    app_.load(
        []() -> std::unique_ptr<FaceService> { throw Error(ErrorKind::kDevice, "no such device"); },
        test::null_decoder());
    while (exit_code == 0) std::this_thread::sleep_for(1ms);
  }
  FaceApp& app() { return app_; }
  http::Server& server() { return server_; }
  int port() const { return server_.port(); }
  RawAnswer ask(const std::string& request) {
    RawClient client(port());
    return client.ask(request);
  }
  double metric(const std::string& name) {
    const std::string page = ask(get("/metrics")).body;
    const size_t at = page.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::atof(page.c_str() + at + name.size() + 2);
  }

  std::shared_ptr<test::NullControl> control = std::make_shared<test::NullControl>();
  std::atomic<int> exit_code{0};

 private:
  AppOptions with_callbacks(AppOptions options) {
    options.on_fatal = [this](int code, const std::string&) { exit_code = code; };
    options.server_stats = [this] { return server_.stats(); };
    return options;
  }

  FaceApp app_;
  http::Server server_;
  std::thread loop_;
};

TEST(FaceApp, HealthSaysWhatIsTrue) {
  Worker worker;
  const RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 200);
  const json health = json::parse(answer.body);
  EXPECT_EQ(health["status"], "healthy");
  EXPECT_EQ(health["gpu_available"], false);
  EXPECT_EQ(health["model_loaded"], true);
  EXPECT_EQ(health["device"], "CPU");
  EXPECT_EQ(health["device_name"], "null device");
  EXPECT_EQ(health["precision"], "fp32");
  EXPECT_EQ(health["model_fingerprint"], "0123456789abcdef");
  EXPECT_EQ(worker.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
}

TEST(FaceApp, HealthOfCudaAndOfGeneratedWeights) {
  Worker worker({}, false);
  worker.control->info.device.is_cuda = true;
  worker.control->info.untrained = true;
  worker.control->info.device.warning = "a \"reason\"";
  worker.load();
  const RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 200);
  const json health = json::parse(answer.body);
  EXPECT_EQ(health["status"], "untrained");
  EXPECT_EQ(health["gpu_available"], true);
  EXPECT_EQ(health["device"], "CUDA (NVIDIA GPU)");
  EXPECT_EQ(health["warning"], "a \"reason\"");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200);
}

TEST(FaceApp, InitializingUntilTheModelIsThere) {
  Worker worker({}, false);
  RawAnswer answer = worker.ask(get("/"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(json::parse(answer.body)["status"], "initializing");
  EXPECT_EQ(json::parse(answer.body)["model_loaded"], false);
  answer = worker.ask(post_picture("/detect", "file", "PIC 2 2"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"detail":"Model not initialized"})");
  EXPECT_EQ(answer.headers.count("retry-after"), 1U);
  worker.load();
  EXPECT_EQ(worker.ask(get("/")).status, 200);
}

TEST(FaceApp, FailedLoadIsFatal) {
  Worker worker({}, false);
  worker.load_failing();
  EXPECT_EQ(worker.exit_code, kExitFailure);
  EXPECT_EQ(json::parse(worker.ask(get("/")).body)["status"], "unhealthy");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 503);
}

TEST(FaceApp, DetectAnswersTheContract) {
  Worker worker;
  const RawAnswer answer = worker.ask(post_picture("//detect", "file", "PIC 64 32"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_EQ(answer.headers.at("x-model-fingerprint"), "0123456789abcdef");
  EXPECT_NE(answer.headers.at("server-timing").find("detect;dur=1.5"), std::string::npos);
  EXPECT_EQ(answer.body.substr(0, answer.body.find("\"processing_time_ms\"")),
            R"({"faces":[{"bbox_x":-1,"bbox_y":0,"bbox_width":65,"bbox_height":32,)"
            R"("embedding":[1,2,3],"confidence":0.75,)"
            R"("landmarks":[[0,0],[0,0],[0,0],[0,0],[0,0]]}],)"
            R"("image_width":64,"image_height":32,)");
  EXPECT_TRUE(json::parse(answer.body)["processing_time_ms"].is_number());
}

struct ErrorRow {
  const char* name;
  std::string request;
  int status;
  std::string body;
};
TEST(FaceApp, Errors) {
  Worker worker;
  const std::vector<ErrorRow> rows = {
      {"not an image", post_picture("/detect", "file", "hello"), 400,
       R"({"detail":"Invalid image format"})"},
      {"empty", post_picture("/detect", "file", ""), 400, R"({"detail":"Invalid image format"})"},
      {"gif", post_picture("/detect", "file", "GIF89a"), 415,
       R"({"detail":"GIF is not supported"})"},
      {"pixels", post_picture("/detect", "file", "PIC 20000 1"), 413,
       R"({"detail":"more than 50 megapixels"})"},
      {"misnamed", post_picture("/detect", "photo", "PIC 2 2"), 422, kMissingFile},
      {"misnamed in batch", post_picture("/detect-batch", "file", "PIC 2 2"), 422, kMissingFiles},
      {"empty form", post("/detect", "--XyZ--\r\n", kFormType), 422, kMissingFile},
      {"no body", post("/detect", "", kFormType), 422, kMissingFile},
      {"raw body", post("/detect", "PIC 2 2", "Content-Type: image/jpeg\r\n"), 422, kMissingFile},
      {"no type", post("/detect-batch", "PIC 2 2"), 422, kMissingFiles},
      {"json", post("/detect", "{}", "Content-Type: application/json\r\n"), 422, kMissingFile},
      {"unfinished form", post("/detect", form_part("file", "a", "PIC 2 2"), kFormType), 400,
       R"({"detail":"Unfinished multipart body"})"},
      {"bytes", post("/detect", std::string(1'100'000, 'x'), kFormType), 413,
       R"({"detail":"Request body is larger than the limit of 1065536 bytes"})"},
      {"gzip", post("/detect", "x", "Content-Encoding: gzip\r\n"), 415,
       R"({"detail":"Content-Encoding is not supported: send the body as it is"})"},
      {"unknown path", get("/nothing"), 404, R"({"detail":"Not Found"})"},
      {"unknown path, posted", post("/nothing", "x"), 404, R"({"detail":"Not Found"})"},
      {"get detect", get("/detect"), 405, R"({"detail":"Method Not Allowed"})"},
      {"post root", post("/", "x"), 405, R"({"detail":"Method Not Allowed"})"},
      {"strange method", "BREW /detect HTTP/1.1\r\nHost: x\r\n\r\n", 405,
       R"({"detail":"Method Not Allowed"})"},
      {"options without origin", "OPTIONS /detect HTTP/1.1\r\nHost: x\r\n\r\n", 405,
       R"({"detail":"Method Not Allowed"})"},
  };
  for (const ErrorRow& row : rows) {
    const RawAnswer answer = worker.ask(row.request);
    EXPECT_EQ(answer.status, row.status) << row.name;
    EXPECT_EQ(answer.body, row.body) << row.name;
    EXPECT_EQ(answer.headers.count("location"), 0U) << row.name;
    EXPECT_EQ(answer.headers.count("allow"), row.status == 405 ? 1U : 0U) << row.name;
  }
  EXPECT_EQ(worker.ask(get("/detect")).headers.at("allow"), "POST");
  EXPECT_EQ(worker.ask(post("/", "x")).headers.at("allow"), "GET, HEAD");
}

TEST(FaceApp, PreflightAndOrigin) {
  Worker worker;
  const RawAnswer answer = worker.ask(
      "OPTIONS /detect HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: X-Thing\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "*");
  EXPECT_NE(answer.headers.at("access-control-allow-methods").find("POST"), std::string::npos);
  EXPECT_EQ(answer.headers.at("access-control-allow-headers"), "X-Thing");
  EXPECT_EQ(worker.ask(get("/", "Origin: http://a\r\n")).headers.at("access-control-allow-origin"),
            "*");
}

TEST(FaceApp, KeepAliveSurvivesErrors) {
  Worker worker;
  RawClient client(worker.port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.ask(post_picture("/detect", "file", "broken")).status, 400);
    EXPECT_EQ(client.ask(post_picture("/detect", "photo", "PIC 2 2")).status, 422);
    EXPECT_EQ(client.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200);
  }
}

TEST(FaceApp, BatchKeepsOrderAndFailsPicturesAlone) {
  Worker worker;
  std::string body;
  body += form_part("files", "same.jpg", "PIC 10 10");
  body += form_part("other", "x", "ignored");
  body += form_part("files", "same.jpg", "broken");
  body += form_part("files", "q\\\"uote.jpg", "PIC 20 10");
  body += form_part("files", "", "GIF89a");
  const RawAnswer answer = worker.ask(post("/detect-batch", body + "--XyZ--", kFormType));
  EXPECT_EQ(answer.status, 200);
  const json batch = json::parse(answer.body);
  EXPECT_EQ(batch["total"], 4);
  ASSERT_EQ(batch["results"].size(), 4U);
  EXPECT_EQ(batch["results"][0]["filename"], "same.jpg");
  EXPECT_EQ(batch["results"][0]["success"], true);
  EXPECT_EQ(batch["results"][0]["data"]["image_width"], 10);
  EXPECT_EQ(batch["results"][0]["data"]["faces"].size(), 1U);
  EXPECT_EQ(
      batch["results"][1],
      json({{"filename", "same.jpg"}, {"success", false}, {"error", "Invalid image format"}}));
  EXPECT_EQ(batch["results"][2]["filename"], "q\"uote.jpg");
  EXPECT_EQ(batch["results"][2]["data"]["image_width"], 20);
  EXPECT_EQ(batch["results"][3]["error"], "GIF is not supported");
}

TEST(FaceApp, BatchOfTooManyIs413) {
  Worker worker;
  std::string body;
  for (int i = 0; i < 9; ++i) body += form_part("files", "a", "PIC 2 2");
  const RawAnswer answer = worker.ask(post("/detect-batch", body + "--XyZ--", kFormType));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, R"({"detail":"More than 8 parts"})");
}

/// Sends `count` pictures from as many clients while the engine is held up by a first one.
std::vector<std::unique_ptr<RawClient>> send_behind_closed_gate(Worker* worker, int count) {
  worker->control->close_gate();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<RawClient>(worker->port()));
    clients.back()->send(post_picture("/detect", "file", "PIC " + std::to_string(i + 1) + " 1"));
    if (i == 0) worker->control->await_runs(1);
  }
  const auto waiting = double(count - 1);
  while (worker->metric("face_pictures_waiting") < waiting) std::this_thread::sleep_for(1ms);
  return clients;
}

TEST(FaceApp, ClientsShareBatchesAndALoneOneDoesNotWait) {
  Worker worker;
  const auto clients = send_behind_closed_gate(&worker, 9);
  EXPECT_EQ(worker.ask(get("/")).status, 200);  // while the engine is busy
  worker.control->open_gate();
  for (size_t i = 0; i < clients.size(); ++i) {
    const json answer = json::parse(clients[i]->receive().body);
    EXPECT_EQ(answer["image_width"], i + 1);  // each its own
  }
  EXPECT_EQ(worker.control->batches(), (std::vector<size_t>{1, 4, 4}));
}

TEST(FaceApp, OnePicturesFailureIsNotItsNeighbours) {
  Worker worker;
  worker.control->fail_width(3);
  const auto clients = send_behind_closed_gate(&worker, 5);
  worker.control->open_gate();
  for (int i = 0; i < 5; ++i) {
    const RawAnswer answer = clients[size_t(i)]->receive();
    EXPECT_EQ(answer.status, i + 1 == 3 ? 500 : 200) << i;
    if (i + 1 == 3) {
      EXPECT_EQ(answer.body, R"({"detail":"non-finite output"})");
    }
  }
}

TEST(FaceApp, NanIsA500NeverJson) {
  Worker worker;
  worker.control->answer_nan();
  const RawAnswer answer = worker.ask(post_picture("/detect", "file", "PIC 2 2"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, R"({"detail":"embedding is not a finite number"})");
}

TEST(FaceApp, HangUpInTheQueueIsNotComputed) {
  Worker worker;
  auto clients = send_behind_closed_gate(&worker, 4);
  clients[1]->hang_up();
  clients[2]->hang_up();
  std::this_thread::sleep_for(100ms);  // for the loop to see it
  worker.control->open_gate();
  EXPECT_EQ(clients[0]->receive().status, 200);
  EXPECT_EQ(clients[3]->receive().status, 200);
  EXPECT_EQ(worker.control->batches(), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(worker.metric("face_pictures_dropped_total"), 2);
  EXPECT_EQ(worker.metric("face_pictures_in_flight"), 0);
}

TEST(FaceApp, NoSlotIs503WithRetryAfter) {
  WorkerOptions options;
  options.app.inference.max_pictures = 3;
  Worker worker(std::move(options));
  const auto clients = send_behind_closed_gate(&worker, 3);
  const RawAnswer answer = worker.ask(post_picture("/detect", "file", "PIC 2 2"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"detail":"Server is busy, try again"})");
  EXPECT_EQ(answer.headers.count("retry-after"), 1U);
  worker.control->open_gate();
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 200);
}

TEST(FaceApp, StalePicturesAreShed) {
  WorkerOptions options;
  options.app.inference.patience = 200ms;
  Worker worker(std::move(options));
  const auto clients = send_behind_closed_gate(&worker, 2);
  std::this_thread::sleep_for(300ms);
  worker.control->open_gate();
  EXPECT_EQ(clients[0]->receive().status, 200);  // it was running
  EXPECT_EQ(clients[1]->receive().status, 503);
}

TEST(FaceApp, PictureBeyondTheWholeBudgetIs413) {
  WorkerOptions options;
  options.app.inference.decode_budget = 1'000;
  Worker worker(std::move(options));
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 100 100")).status, 413);
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 10 10")).status, 200);
  EXPECT_EQ(worker.metric("face_decode_budget_free_bytes"), 1'000);
}

TEST(FaceApp, LostDeviceFailsOneBatchAndEndsTheWorker) {
  Worker worker;
  worker.control->fail_next(ErrorKind::kDeviceLost);
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 503);
  EXPECT_EQ(worker.exit_code, kExitDeviceLost);
  EXPECT_EQ(json::parse(worker.ask(get("/")).body)["status"], "unhealthy");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 503);
  EXPECT_EQ(worker.control->batches().size(), 1U);
}

TEST(FaceApp, StuckEngineIsNoticed) {
  WorkerOptions options;
  options.app.inference.stuck_after = 200ms;
  Worker worker(std::move(options));
  const auto clients = send_behind_closed_gate(&worker, 1);
  for (int i = 0; i < 400 && worker.exit_code == 0; ++i) std::this_thread::sleep_for(50ms);
  EXPECT_EQ(worker.exit_code, kExitStuck);
  EXPECT_EQ(worker.ask(get("/")).status, 503);
}

TEST(FaceApp, DrainingIsSaidAndRequestsAreServed) {
  Worker worker;
  worker.app().begin_drain();
  worker.server().drain(2'000ms);
  const RawAnswer health = worker.ask(get("/"));
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(json::parse(health.body)["status"], "draining");
  EXPECT_EQ(health.headers.at("connection"), "close");
  EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200);
}

TEST(FaceApp, DrainUnderLoadLosesNothing) {
  auto worker = std::make_unique<Worker>();
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};
  std::atomic<bool> draining{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, port = worker->port()] {
      while (true) {
        RawClient client(port);
        if (!client.connected()) return;
        const RawAnswer answer = client.ask(post_picture("/detect", "file", "PIC 2 2"));
        ++(answer.status == 200 ? answered : refused);
      }
    });
  }
  while (answered < 50) std::this_thread::sleep_for(1ms);
  worker->server().drain(100ms);
  for (std::thread& client : clients) client.join();
  worker.reset();
  EXPECT_EQ(refused, 0);
  EXPECT_GE(answered, 50);
}

TEST(FaceApp, MetricsAddUp) {
  Worker worker;
  for (int i = 0; i < 5; ++i) worker.ask(post_picture("/detect", "file", "PIC 2 2"));
  for (int i = 0; i < 3; ++i) worker.ask(post_picture("/detect", "file", "broken"));
  worker.ask(get("/nothing"));
  worker.ask("rubbish\r\n\r\n");
  const RawAnswer page = worker.ask(get("/metrics"));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"face_http_requests_total{route=\"/detect\",status=\"200\",outcome=\"ok\"} 5\n",
        "face_http_requests_total{route=\"/detect\",status=\"400\",outcome=\"client_error\"} 3\n",
        "face_http_requests_total{route=\"other\",status=\"404\",outcome=\"client_error\"} 1\n",
        "face_http_requests_total{route=\"other\",status=\"400\",outcome=\"client_error\"} 1\n",
        "face_pictures_total 5\n", "face_pictures_failed_total 3\n", "face_faces_total 5\n",
        "face_request_seconds_count 5\n", "face_pictures_in_flight 0\n", "face_ready 1\n",
        "face_info{device=\"null device\",precision=\"fp32\",model=\"0123456789abcdef\"} 1\n"}) {
    EXPECT_NE(page.body.find(line), std::string::npos) << line << page.body;
  }
}

TEST(FaceApp, ManyClientsManyKindsOfRequests) {
  Worker worker;
  std::vector<std::thread> clients;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      auto client = std::make_unique<RawClient>(worker.port());
      for (int n = 0; n < 60; ++n) {
        const int kind = (n + i) % 5;
        if (kind == 0 && client->ask(get("/")).status != 200) ++wrong;
        if (kind == 1 && client->ask(post_picture("/detect", "file", "PIC 9 9")).status != 200)
          ++wrong;
        if (kind == 2 && client->ask(post_picture("/detect", "file", "bad")).status != 400) ++wrong;
        if (kind == 3) {
          const std::string body =
              form_part("files", "a", "PIC 3 3") + form_part("files", "b", "x");
          if (client->ask(post("/detect-batch", body + "--XyZ--", kFormType)).status != 200)
            ++wrong;
        }
        if (kind == 4) {  // hang up at some point of a request
          const std::string request = post_picture("/detect", "file", "PIC 9 9");
          client->send(request.substr(0, size_t(n) * 7 % request.size() + 1));
          client = std::make_unique<RawClient>(worker.port());
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  for (int i = 0; i < 200 && worker.metric("face_pictures_in_flight") > 0; ++i) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(worker.metric("face_pictures_in_flight"), 0);
}

}  // namespace
}  // namespace face
