// SPDX-License-Identifier: MIT
// server/metrics.cpp - Prometheus text.
#include "server/metrics.h"

#include <algorithm>
#include <charconv>

namespace face {
namespace {

const char* outcome(int status) {
  if (status == 0) return "cancelled";
  if (status == 503) return "shed";
  if (status >= 500) return "server_error";
  return status >= 400 ? "client_error" : "ok";
}

void append_number(std::string* out, double value) {
  std::array<char, 40> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out->append(buffer.data(), result.ptr);
}

void declare(std::string* out, const char* name, const char* type, const char* help) {
  out->append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out->append(name).append(" ").append(type).append("\n");
}

void sample(std::string* out, const std::string& name_and_labels, double value) {
  out->append(name_and_labels).append(" ");
  append_number(out, value);
  out->append("\n");
}

void counter(std::string* out, const char* name, const char* help, double value) {
  declare(out, name, "counter", help);
  sample(out, name, value);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

const char* to_string(Route route) {
  switch (route) {
    case Route::kHealth:
      return "/";
    case Route::kDetect:
      return "/detect";
    case Route::kDetectBatch:
      return "/detect-batch";
    case Route::kMetrics:
      return "/metrics";
    case Route::kOther:
      break;
  }
  return "other";
}

const char* to_string(Stage stage) {
  constexpr std::array<const char*, size_t(Stage::kCount)> kNames{
      "decode", "queue", "preprocess", "detect", "postprocess", "align", "embed"};
  return kNames[size_t(stage)];
}

void Metrics::count_request(Route route, int status, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
  const bool inference = route == Route::kDetect || route == Route::kDetectBatch;
  if (!inference || status != 200) return;
  const auto bucket = std::lower_bound(kBuckets.begin(), kBuckets.end(), seconds);
  ++latency_[size_t(bucket - kBuckets.begin())];
  latency_sum_ += seconds;
}

void Metrics::count_picture(bool ok, size_t faces, const StageMilliseconds& stages) {
  const std::lock_guard lock(mutex_);
  ++(ok ? pictures_ok_ : pictures_failed_);
  faces_ += faces;
  add_stages(stages);
}

void Metrics::add_stages(const StageMilliseconds& stages) {
  for (size_t i = 0; i < stages_.size(); ++i) stages_[i] += stages[i];
}

void Metrics::count_batch(size_t pictures, const StageMilliseconds& stages) {
  const std::lock_guard lock(mutex_);
  ++batches_;
  batched_pictures_ += pictures;
  add_stages(stages);
}

void Metrics::count_dropped(size_t pictures) {
  const std::lock_guard lock(mutex_);
  pictures_dropped_ += pictures;
}

std::string Metrics::render(const std::vector<Gauge>& gauges,
                            const std::vector<std::pair<std::string, std::string>>& labels) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  declare(&out, "face_http_requests_total", "counter",
          "Requests by route, status (0: client hung up) and outcome.");
  for (const auto& [key, number] : requests_) {
    sample(&out,
           std::string("face_http_requests_total{route=\"") + to_string(key.first) +
               "\",status=\"" + std::to_string(key.second) + "\",outcome=\"" + outcome(key.second) +
               "\"}",
           double(number));
  }
  declare(&out, "face_request_seconds", "histogram", "From request head to answer, status 200.");
  uint64_t below = 0;
  for (size_t i = 0; i < latency_.size(); ++i) {
    below += latency_[i];
    std::string bound = "+Inf";
    if (i < kBuckets.size()) {
      bound.clear();
      append_number(&bound, kBuckets[i]);
    }
    sample(&out, "face_request_seconds_bucket{le=\"" + bound + "\"}", double(below));
  }
  sample(&out, "face_request_seconds_sum", latency_sum_);
  sample(&out, "face_request_seconds_count", double(below));
  counter(&out, "face_pictures_total", "Pictures answered with faces or none.",
          double(pictures_ok_));
  counter(&out, "face_pictures_failed_total", "Pictures refused or failed.",
          double(pictures_failed_));
  counter(&out, "face_pictures_dropped_total", "Pictures dropped because the client hung up.",
          double(pictures_dropped_));
  counter(&out, "face_faces_total", "Faces found.", double(faces_));
  counter(&out, "face_batches_total", "Runs of the engine.", double(batches_));
  counter(&out, "face_batched_pictures_total", "Pictures in those runs.",
          double(batched_pictures_));
  declare(&out, "face_stage_seconds_total", "counter", "Time spent on pictures, by stage.");
  for (size_t i = 0; i < stages_.size(); ++i) {
    sample(&out, std::string("face_stage_seconds_total{stage=\"") + to_string(Stage(i)) + "\"}",
           stages_[i] / 1000);
  }
  for (const Gauge& gauge : gauges) {
    declare(&out, gauge.name, "gauge", gauge.help);
    sample(&out, gauge.name, gauge.value);
  }
  declare(&out, "face_info", "gauge", "What is loaded, in labels.");
  std::string info = "face_info{";
  for (const auto& [name, value] : labels) {
    if (info.back() != '{') info += ',';
    info += name + "=\"" + escaped(value) + "\"";
  }
  sample(&out, info + "}", 1);
  return out;
}

}  // namespace face
