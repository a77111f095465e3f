// SPDX-License-Identifier: MIT
// tests/server/null_worker.h - application and server on a null engine, on a free port.
#pragma once

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/face_app.h"
#include "tests/server/null_engine.h"
#include "tests/server/raw_client.h"

namespace face::test {

using namespace std::chrono_literals;

inline std::string get(const std::string& path, const std::string& headers = {}) {
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
    app_.load([this] { return std::make_unique<NullService>(control); }, null_decoder());
    while (app_.service_info() == nullptr) std::this_thread::sleep_for(1ms);
  }
  void load_failing() {
    app_.load(
        []() -> std::unique_ptr<FaceService> { throw Error(ErrorKind::kDevice, "no such device"); },
        null_decoder());
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

  std::shared_ptr<NullControl> control = std::make_shared<NullControl>();
  std::atomic<int> exit_code{0};
  std::atomic<int> fatal_reports{0};

 private:
  AppOptions with_callbacks(AppOptions options) {
    options.on_fatal = [this](int code, const std::string&) {
      ++fatal_reports;
      exit_code = code;
    };
    options.server_stats = [this] { return server_.stats(); };
    return options;
  }

  FaceApp app_;
  http::Server server_;
  std::thread loop_;
};

}  // namespace face::test
