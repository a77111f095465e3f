// SPDX-License-Identifier: MIT
// tests/server/face_app_load_test.cpp - the application under many clients, on a null engine:
// batching, overload, hang-ups, failures, drain, metrics.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "tests/server/null_worker.h"

namespace face {
namespace {

using nlohmann::json;
using test::form_part;
using test::get;
using test::kFormType;
using test::post;
using test::post_picture;
using test::RawAnswer;
using test::RawClient;
using test::Worker;
using test::WorkerOptions;
using namespace std::chrono_literals;

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

/// Loaded with an engine that works on three batches at the same time.
std::unique_ptr<Worker> worker_of_three(WorkerOptions options = {}) {
  auto worker = std::make_unique<Worker>(std::move(options), /*load_now=*/false);
  worker->control->info.instances = 3;
  worker->load();
  return worker;
}

/// A picture on each of the three; none waits for the one before.
std::vector<std::unique_ptr<RawClient>> occupy(Worker* worker) {
  worker->control->close_gate();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 1; i <= 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(worker->port()));
    clients.back()->send(post_picture("/detect", "file", "PIC " + std::to_string(i) + " 1"));
    worker->control->await_runs(i);
  }
  return clients;
}

TEST(FaceApp, SeveralInstancesAreKeptBusyAndWatched) {
  WorkerOptions options;
  options.app.inference.stuck_after = 300ms;
  const auto worker = worker_of_three(std::move(options));
  const auto clients = occupy(worker.get());
  worker->control->open_gate();
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 200);
  std::this_thread::sleep_for(400ms);
  EXPECT_EQ(worker->exit_code, 0);  // idle batchers are not stuck
  worker->control->close_gate();
  clients[0]->send(post_picture("/detect", "file", "PIC 1 1"));
  for (int i = 0; i < 400 && worker->exit_code == 0; ++i) std::this_thread::sleep_for(50ms);
  EXPECT_EQ(worker->exit_code, kExitStuck);  // one of three is enough
}

TEST(FaceApp, ADeviceThatSeveralInstancesLoseIsReportedOnce) {
  const auto worker = worker_of_three();
  const auto clients = occupy(worker.get());
  worker->control->fail_always(ErrorKind::kDeviceLost);
  worker->control->open_gate();
  for (const auto& client : clients) EXPECT_EQ(client->receive().status, 503);
  EXPECT_EQ(worker->exit_code, kExitDeviceLost);
  EXPECT_EQ(worker->fatal_reports, 1);
}

TEST(FaceApp, PicturesAreDecodedAsTheEngineWantsThem) {
  for (const bool planes : {false, true}) {
    Worker worker({}, /*load_now=*/false);
    worker.control->info.image_target.planes = planes;
    worker.load();
    EXPECT_EQ(worker.ask(post_picture("/detect", "file", "PIC 64 48")).status, 200);
    EXPECT_EQ(worker.control->planes(), planes ? 1 : 0);
    EXPECT_EQ(worker.metric("face_decode_budget_free_bytes"), size_t{512} << 20);
  }
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
  std::vector<std::thread> clients;
  clients.reserve(4);
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
  const auto several = worker_of_three();
  Worker& worker = *several;
  std::vector<std::thread> clients;
  std::atomic<int> wrong{0};
  clients.reserve(8);
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
