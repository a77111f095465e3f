// SPDX-License-Identifier: MIT
// server/face_app.h - the worker's routes: what each request of the contract is answered.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/face_service.h"
#include "server/http_server.h"
#include "server/inference.h"
#include "server/metrics.h"
#include "server/multipart.h"

namespace face {

struct AppOptions {
  size_t max_body = size_t{16} << 20;        // of /detect: 413
  size_t max_batch_body = size_t{64} << 20;  // of /detect-batch: 413
  size_t max_batch_files = 64;               // 413
  InferenceOptions inference;                // on_fatal is the application's own
  /// The process has to end with this exit code: see ExitCode. Called once, from any thread.
  std::function<void(int exit_code, const std::string& reason)> on_fatal;
  std::function<http::ServerStats()> server_stats;  // for /metrics; may be empty
};

/// Exit codes of the worker; README lists them.
enum ExitCode { kExitOk = 0, kExitFailure = 1, kExitStuck = 70, kExitDeviceLost = 71 };

/// Loads the model in the background and answers requests.
/// Threads: as http::Handler asks; begin_drain() from any.
class FaceApp : public http::Handler {
 public:
  explicit FaceApp(AppOptions options);
  /// Waits for the model to be loaded, and for what was submitted.
  ~FaceApp() override;

  /// Starts to load; until that is done health says "initializing". A failure is on_fatal with
  /// kExitFailure. Call once. `on_ready` is called when requests are served; may be empty.
  void load(ServiceFactory factory, PictureDecoder decoder,
            std::function<void(const ServiceInfo&)> on_ready = {});

  /// Whether a load() has neither ended nor failed.
  [[nodiscard]] bool loading() const { return loading_; }
  /// Health turns to 503 "draining"; requests are served still.
  void begin_drain() { draining_ = true; }
  /// The loaded model, or nullptr while it is not ready.
  [[nodiscard]] const ServiceInfo* service_info() const;

  [[nodiscard]] std::optional<http::Answer> on_head(const http::Request& request) override;
  [[nodiscard]] size_t body_limit(const http::Request& request) override;
  [[nodiscard]] std::optional<http::Answer> on_request(http::Request& request) override;
  void on_done(const http::Outcome& outcome) override;

 private:
  void load_now(const ServiceFactory& factory, const PictureDecoder& decoder,
                const std::function<void(const ServiceInfo&)>& on_ready);
  void fail(int exit_code, const std::string& reason);
  [[nodiscard]] std::shared_ptr<Inference> inference() const;
  [[nodiscard]] http::Answer health() const;
  [[nodiscard]] http::Answer metrics_page() const;
  [[nodiscard]] std::optional<http::Answer> detect(http::Request& request,
                                                   const std::vector<FormPart>& parts);
  [[nodiscard]] std::optional<http::Answer> detect_batch(http::Request& request,
                                                         const std::vector<FormPart>& parts);

  const AppOptions options_;
  Metrics metrics_;
  const std::chrono::steady_clock::time_point started_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> failed_{false};
  std::atomic<bool> loading_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<Inference> inference_;  // null until the model is ready
  std::thread loader_;
};

}  // namespace face
