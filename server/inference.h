// SPDX-License-Identifier: MIT
// server/inference.h - from uploaded bytes to faces: decoding threads, memory tickets, a bounded
// queue, and the batchers that feed the engine, one for each batch that it works on at the same
// time.
//
// A batcher takes whatever waits as soon as it is free, up to the engine's largest batch: a lone
// picture never waits for company, and many clients share runs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/error.h"
#include "engine/image.h"
#include "server/face_service.h"
#include "server/metrics.h"
#include "server/task_pool.h"

namespace face {

struct PictureResult {
  std::vector<Face> faces;
  int width = 0, height = 0;  // upright
  StageMilliseconds stages{};
};

/// The picture was dropped because its client had hung up.
class Cancelled : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "client hung up"; }
};

/// How a picture ended. Threads hand this over instead of exceptions: an exception object that two
/// threads hold is counted inside the C++ library, where race detectors cannot look.
struct PictureOutcome {
  enum class Kind { kDone, kFailed, kCancelled };
  Kind kind = Kind::kDone;
  PictureResult result;                    // kDone
  ErrorKind error = ErrorKind::kInternal;  // kFailed
  std::string message;                     // kFailed
};

/// A picture on its way. Move-only.
class PictureFuture {
 public:
  PictureFuture() = default;
  explicit PictureFuture(std::future<PictureOutcome> future) : future_(std::move(future)) {}
  /// One that has failed already.
  [[nodiscard]] static PictureFuture failed(const Error& error);

  [[nodiscard]] bool valid() const { return future_.valid(); }
  void wait() const { future_.wait(); }
  /// Waits for the result. Throws Error, or Cancelled.
  [[nodiscard]] PictureResult get();

 private:
  std::future<PictureOutcome> future_;
};

struct InferenceOptions {
  int decode_threads = 2;
  size_t max_pictures = 64;                       // submitted and not finished
  size_t decode_budget = size_t{512} << 20;       // bytes of pictures and decoders together
  std::chrono::milliseconds patience{10'000};     // for a slot, memory and the engine: then kBusy
  std::chrono::milliseconds stuck_after{30'000};  // one run of the engine
  /// The engine cannot go on: stuck, or its device is lost. Called once, from any thread.
  std::function<void(ErrorKind, const std::string&)> on_fatal;
};

/// Threads: all members are safe.
class Inference {
 public:
  /// One upload. `hung_up` may be null.
  struct Upload {
    std::span<const uint8_t> bytes;  // alive until the future is ready
    std::shared_ptr<const std::atomic<bool>> hung_up;
  };

  Inference(std::unique_ptr<FaceService> service, PictureDecoder decoder, InferenceOptions options,
            Metrics& metrics);
  /// Finishes what was submitted.
  ~Inference();
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  /// Starts one picture. With `wait`, waits for a slot until the patience ends; without, a full
  /// queue is an error at once.
  /// Errors: kBusy - no slot.
  [[nodiscard]] PictureFuture submit(const Upload& upload, bool wait);

  [[nodiscard]] const ServiceInfo& info() const { return service_->info(); }
  [[nodiscard]] size_t pictures() const { return pictures_.load(); }
  [[nodiscard]] size_t waiting() const;
  [[nodiscard]] const MemoryBudget& budget() const { return budget_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    Upload upload;
    Clock::time_point deadline;
    Clock::time_point queued;
    std::promise<PictureOutcome> promise;
    PictureResult result;
    MemoryBudget::Ticket ticket;
    Image image;
  };
  using JobPtr = std::unique_ptr<Job>;

  void stop();
  void take_slot(Clock::time_point deadline, bool wait);
  void decode(JobPtr job);
  void decode_into(Job* job);
  /// Since when a batcher's run has been going on; nothing between runs.
  using Began = std::optional<Clock::time_point>;

  void batch_loop(Began* began);
  [[nodiscard]] std::vector<JobPtr> next_batch(Began* began);
  /// Removes jobs whose client has gone or whose deadline has passed.
  void drop_stale(std::vector<JobPtr>* jobs);
  void run(std::vector<JobPtr> jobs);
  void run_once(std::span<const JobPtr> jobs);
  void run_each(std::vector<JobPtr> jobs);
  void finish(JobPtr job);
  void fail(JobPtr job, PictureOutcome outcome);
  void fail_all(std::vector<JobPtr> jobs, const PictureOutcome& outcome);
  void release_slot();
  void watch();
  void report_fatal(ErrorKind kind, const std::string& message);

  const std::unique_ptr<FaceService> service_;
  const PictureDecoder decoder_;
  const InferenceOptions options_;
  Metrics& metrics_;
  MemoryBudget budget_;
  std::atomic<size_t> pictures_{0};
  std::atomic<bool> fatal_{false};

  mutable std::mutex mutex_;
  std::condition_variable queued_;     // queue_ has grown, or stopping_
  std::condition_variable slot_free_;  // pictures_ has shrunk
  std::condition_variable stopped_;
  std::deque<JobPtr> queue_;
  bool stopping_ = false;
  std::vector<Began> began_;  // of each batcher

  std::vector<std::thread> batchers_;
  std::thread watchdog_;
  std::unique_ptr<TaskPool> decoders_;  // last: its tasks use the members above
};

}  // namespace face
