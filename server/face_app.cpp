// SPDX-License-Identifier: MIT
// server/face_app.cpp - routing, health, loading.
#include "server/face_app.h"

#include <array>
#include <utility>

#include "server/json_writer.h"
#include "server/log.h"

namespace face {
namespace {

struct RouteRow {
  const char* path;
  Route route;
  const char* allow;  // of a 405
  bool post;
};
constexpr std::array<RouteRow, 4> kRoutes{{{"/", Route::kHealth, "GET, HEAD", false},
                                           {"/metrics", Route::kMetrics, "GET, HEAD", false},
                                           {"/detect", Route::kDetect, "POST", true},
                                           {"/detect-batch", Route::kDetectBatch, "POST", true}}};

const RouteRow* find_route(const std::string& path) {
  for (const RouteRow& row : kRoutes) {
    if (path == row.path) return &row;
  }
  return nullptr;
}

bool is_preflight(const http::Head& head) {
  return head.method == "OPTIONS" && head.find("origin") != nullptr &&
         head.find("access-control-request-method") != nullptr;
}

/// As Starlette's CORSMiddleware answers for any origin and header.
http::Answer preflight(const http::Head& head) {
  http::Answer answer;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = "OK";
  const std::string* wanted = head.find("access-control-request-headers");
  answer.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"},
                    {"Access-Control-Max-Age", "600"},
                    {"Access-Control-Allow-Headers", wanted != nullptr ? *wanted : "*"}};
  return answer;
}

bool accepts(const RouteRow& row, const std::string& method) {
  return row.post ? method == "POST" : method == "GET" || method == "HEAD";
}

std::optional<http::Answer> refuse_route(const RouteRow* row, const http::Head& head) {
  if (row == nullptr) return http::detail_answer(404, "Not Found");
  if (accepts(*row, head.method)) return std::nullopt;
  http::Answer answer = http::detail_answer(405, "Method Not Allowed");
  answer.headers.push_back({"Allow", row->allow});
  return answer;
}

std::optional<http::Answer> refuse_coding(const http::Head& head) {
  const std::string* coding = head.find("content-encoding");
  if (coding == nullptr || *coding == "identity") return std::nullopt;
  return http::detail_answer(415, "Content-Encoding is not supported: send the body as it is");
}

void field(std::string* out, const char* key, const std::string& value) {
  out->append(",\"").append(key).append("\":");
  append_json_string(out, value);
}

void append_service(std::string* out, const ServiceInfo& info) {
  field(out, "device_name", info.device.name);
  field(out, "driver", info.device.driver);
  field(out, "precision", to_string(info.precision));
  field(out, "model_fingerprint", info.fingerprint);
  out->append(",\"embedding_size\":").append(std::to_string(info.embedding_size));
  out->append(",\"memory_bytes\":").append(std::to_string(info.memory_bytes));
  if (!info.device.warning.empty()) field(out, "warning", info.device.warning);
}

}  // namespace

FaceApp::FaceApp(AppOptions options)
    : options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

FaceApp::~FaceApp() {
  if (loader_.joinable()) loader_.join();
}

void FaceApp::load(ServiceFactory factory, PictureDecoder decoder,
                   std::function<void(const ServiceInfo&)> on_ready) {
  loading_ = true;
  loader_ = std::thread([this, factory = std::move(factory), decoder = std::move(decoder),
                         on_ready = std::move(on_ready)] { load_now(factory, decoder, on_ready); });
}

void FaceApp::load_now(const ServiceFactory& factory, const PictureDecoder& decoder,
                       const std::function<void(const ServiceInfo&)>& on_ready) {
  try {
    InferenceOptions options = options_.inference;
    options.on_fatal = [this](ErrorKind kind, const std::string& reason) {
      fail(kind == ErrorKind::kDeviceLost ? kExitDeviceLost : kExitStuck, reason);
    };
    auto loaded = std::make_shared<Inference>(factory(), decoder, std::move(options), metrics_);
    {
      const std::lock_guard lock(mutex_);
      inference_ = loaded;
    }
    if (on_ready) on_ready(loaded->info());
  } catch (const std::exception& error) {
    fail(kExitFailure, error.what());
  }
  loading_ = false;
}

void FaceApp::fail(int exit_code, const std::string& reason) {
  if (failed_.exchange(true)) return;
  if (options_.on_fatal) options_.on_fatal(exit_code, reason);
}

std::shared_ptr<Inference> FaceApp::inference() const {
  const std::lock_guard lock(mutex_);
  return inference_;
}

const ServiceInfo* FaceApp::service_info() const {
  const auto ready = inference();
  return ready == nullptr ? nullptr : &ready->info();
}

http::Answer FaceApp::health() const {
  const auto ready = inference();
  const ServiceInfo* info = ready == nullptr ? nullptr : &ready->info();
  const char* status = failed_.load()     ? "unhealthy"
                       : draining_.load() ? "draining"
                       : info == nullptr  ? "initializing"
                       : info->untrained  ? "untrained"
                                          : "healthy";
  const bool serving = info != nullptr && !failed_.load() && !draining_.load();
  const bool cuda = info != nullptr && info->device.is_cuda;
  http::Answer answer;
  answer.status = serving ? 200 : 503;
  if (!serving) answer.headers.push_back({"Retry-After", "1"});
  answer.body = std::string("{\"status\":\"") + status + "\",\"gpu_available\":";
  answer.body += cuda ? "true" : "false";
  answer.body += std::string(",\"model_loaded\":") + (info != nullptr ? "true" : "false");
  answer.body += std::string(",\"device\":\"") + (cuda ? "CUDA (NVIDIA GPU)" : "CPU") + "\"";
  if (info != nullptr) append_service(&answer.body, *info);
  answer.body += "}";
  return answer;
}

http::Answer FaceApp::metrics_page() const {
  const auto ready = inference();
  const auto age = std::chrono::steady_clock::now() - started_;
  std::vector<Gauge> gauges{
      {"face_ready", "1 once the model is loaded.", ready == nullptr ? 0.0 : 1.0},
      {"face_uptime_seconds", "Since start.", std::chrono::duration<double>(age).count()},
      {"face_log_lines_dropped", "Log lines nobody read.", double(log::dropped())}};
  if (options_.server_stats) {
    const http::ServerStats stats = options_.server_stats();
    gauges.push_back({"face_connections", "Open connections.", double(stats.connections)});
    gauges.push_back({"face_requests_pending", "Waiting for a worker.", double(stats.pending)});
    gauges.push_back({"face_requests_working", "Worked on.", double(stats.working)});
    gauges.push_back({"face_upload_bytes", "Request bodies held.", double(stats.upload_bytes)});
  }
  std::vector<std::pair<std::string, std::string>> labels;
  if (ready != nullptr) {
    gauges.push_back(
        {"face_pictures_in_flight", "Submitted, not finished.", double(ready->pictures())});
    gauges.push_back(
        {"face_pictures_waiting", "Decoded, waiting for the engine.", double(ready->waiting())});
    gauges.push_back({"face_decode_budget_free_bytes", "Free for pictures.",
                      double(ready->budget().free_bytes())});
    const ServiceInfo& info = ready->info();
    labels = {{"device", info.device.name},
              {"precision", to_string(info.precision)},
              {"model", info.fingerprint}};
  }
  http::Answer answer;
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  answer.body = metrics_.render(gauges, labels);
  return answer;
}

std::optional<http::Answer> FaceApp::on_head(const http::Request& request) {
  const http::Head& head = request.head;
  if (is_preflight(head)) return preflight(head);
  const RouteRow* row = find_route(head.path);
  if (auto refusal = refuse_route(row, head)) return refusal;
  if (row->route == Route::kHealth) return health();
  if (row->route == Route::kMetrics) return metrics_page();
  if (auto refusal = refuse_coding(head)) return refusal;
  if (failed_.load()) return http::detail_answer(503, "The engine has failed");
  if (inference() == nullptr) return http::detail_answer(503, "Model not initialized");
  return std::nullopt;
}

size_t FaceApp::body_limit(const http::Request& request) {
  constexpr size_t kFormBytes = size_t{64} << 10;  // boundaries and part headers around a picture
  const RouteRow* row = find_route(request.head.path);
  const bool batch = row != nullptr && row->route == Route::kDetectBatch;
  return (batch ? options_.max_batch_body : options_.max_body) + kFormBytes;
}

void FaceApp::on_done(const http::Outcome& outcome) {
  const http::Request* request = outcome.request;
  const RouteRow* row = request == nullptr ? nullptr : find_route(request->head.path);
  const Route route = row == nullptr ? Route::kOther : row->route;
  const auto age = request == nullptr ? std::chrono::steady_clock::duration{}
                                      : std::chrono::steady_clock::now() - request->received;
  const double seconds = std::chrono::duration<double>(age).count();
  metrics_.count_request(route, outcome.status, seconds);
  const bool chatter = route == Route::kHealth || route == Route::kMetrics;
  if (request == nullptr) {
    log::write(log::Level::kInfo, "refused", {{"status", std::to_string(outcome.status)}});
    return;
  }
  log::write(chatter ? log::Level::kDebug : log::Level::kInfo, "request",
             {{"id", request->id},
              {"method", request->head.method},
              {"path", request->head.path},
              {"status", std::to_string(outcome.status)},
              {"ms", std::to_string(seconds * 1000)},
              {"bytes_in", std::to_string(request->body.size())},
              {"bytes_out", std::to_string(outcome.answer_bytes)}},
             request->note);
}

}  // namespace face
