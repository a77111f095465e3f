// SPDX-License-Identifier: MIT
// server/metrics.h - counters of the worker, as Prometheus reads them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace face {

/// Routes as label values: made here, never by a client.
enum class Route { kHealth, kDetect, kDetectBatch, kMetrics, kOther };
[[nodiscard]] const char* to_string(Route route);

/// Stages of a picture's way, as label values and in Server-Timing.
enum class Stage { kDecode, kQueue, kPreprocess, kDetect, kPostprocess, kAlign, kEmbed, kCount };
[[nodiscard]] const char* to_string(Stage stage);
using StageMilliseconds = std::array<double, size_t(Stage::kCount)>;

/// A value read when /metrics is asked for.
struct Gauge {
  const char* name;
  const char* help;
  double value;
};

/// Threads: all members are safe; none blocks for longer than a few copies take.
class Metrics {
 public:
  /// One finished request. status 0: the client hung up first. Every request is counted once, so
  /// the outcomes ok, client_error, server_error, shed (503) and cancelled add up to all.
  void count_request(Route route, int status, double seconds);
  /// `stages`: time of this picture alone.
  void count_picture(bool ok, size_t faces, const StageMilliseconds& stages);
  /// `stages`: time of the whole run.
  void count_batch(size_t pictures, const StageMilliseconds& stages);
  void count_dropped(size_t pictures);

  /// Prometheus text, version 0.0.4. `labels` of face_info: names and values, e.g. the device.
  [[nodiscard]] std::string render(
      const std::vector<Gauge>& gauges,
      const std::vector<std::pair<std::string, std::string>>& labels) const;

 private:
  void add_stages(const StageMilliseconds& stages);

  static constexpr std::array<double, 12> kBuckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                   0.5,   1,    2.5,   5,    10,  30};
  mutable std::mutex mutex_;
  std::map<std::pair<Route, int>, uint64_t> requests_;
  std::array<uint64_t, kBuckets.size() + 1> latency_{};
  double latency_sum_ = 0;
  uint64_t pictures_ok_ = 0, pictures_failed_ = 0, pictures_dropped_ = 0, faces_ = 0;
  uint64_t batches_ = 0, batched_pictures_ = 0;
  StageMilliseconds stages_{};
};

}  // namespace face
