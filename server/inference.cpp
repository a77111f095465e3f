// SPDX-License-Identifier: MIT
// server/inference.cpp - slots, decoding, batches.
#include "server/inference.h"

#include <algorithm>
#include <utility>

namespace face {
namespace {

double milliseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

PictureOutcome failure(ErrorKind kind, const std::string& message) {
  PictureOutcome outcome;
  outcome.kind = PictureOutcome::Kind::kFailed;
  outcome.error = kind;
  outcome.message = message;
  return outcome;
}

PictureOutcome cancellation() {
  PictureOutcome outcome;
  outcome.kind = PictureOutcome::Kind::kCancelled;
  return outcome;
}

/// The exception being handled as an outcome.
PictureOutcome current_failure() {
  try {
    throw;
  } catch (const Cancelled&) {
    return cancellation();
  } catch (const Error& error) {
    return failure(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return failure(ErrorKind::kBusy, "Out of memory, try again");
  } catch (const std::exception& error) {
    return failure(ErrorKind::kInternal, error.what());
  }
}

void set_stages(const StageTimes& times, StageMilliseconds* stages) {
  const auto set = [&](Stage stage, double value) { (*stages)[size_t(stage)] = value; };
  set(Stage::kPreprocess, times.preprocess);
  set(Stage::kDetect, times.detect);
  set(Stage::kPostprocess, times.decode);
  set(Stage::kAlign, times.align);
  set(Stage::kEmbed, times.embed);
}

/// Without what is counted once for the whole batch.
StageMilliseconds own_stages(const StageMilliseconds& all) {
  StageMilliseconds own{};
  for (const Stage stage : {Stage::kDecode, Stage::kQueue}) {
    own[size_t(stage)] = all[size_t(stage)];
  }
  return own;
}

}  // namespace

Inference::Inference(std::unique_ptr<FaceService> service, PictureDecoder decoder,
                     InferenceOptions options, Metrics& metrics)
    : service_(std::move(service)),
      decoder_(std::move(decoder)),
      options_(std::move(options)),
      metrics_(metrics),
      budget_(options_.decode_budget),
      began_(size_t(std::max(1, service_->info().instances))) {
  try {
    for (Began& began : began_) batchers_.emplace_back([this, &began] { batch_loop(&began); });
    watchdog_ = std::thread([this] { watch(); });
    decoders_ = std::make_unique<TaskPool>(options_.decode_threads);
  } catch (...) {
    stop();
    throw;
  }
}

Inference::~Inference() { stop(); }

void Inference::stop() {
  decoders_.reset();  // every job is in the queue or finished
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_all();
  stopped_.notify_all();
  for (std::thread& batcher : batchers_) batcher.join();
  if (watchdog_.joinable()) watchdog_.join();
}

size_t Inference::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void Inference::take_slot(Clock::time_point deadline, bool wait) {
  std::unique_lock lock(mutex_);
  const auto has_slot = [this] { return pictures_.load() < options_.max_pictures; };
  const bool got = wait ? slot_free_.wait_until(lock, deadline, has_slot) : has_slot();
  if (!got) throw Error(ErrorKind::kBusy, "Server is busy, try again");
  ++pictures_;
}

void Inference::release_slot() {
  {
    const std::lock_guard lock(mutex_);
    --pictures_;
  }
  slot_free_.notify_one();
}

PictureFuture PictureFuture::failed(const Error& error) {
  std::promise<PictureOutcome> promise;
  promise.set_value(failure(error.kind(), error.what()));
  return PictureFuture(promise.get_future());
}

PictureResult PictureFuture::get() {
  PictureOutcome outcome = future_.get();
  if (outcome.kind == PictureOutcome::Kind::kCancelled) throw Cancelled();
  if (outcome.kind == PictureOutcome::Kind::kFailed) throw Error(outcome.error, outcome.message);
  return std::move(outcome.result);
}

PictureFuture Inference::submit(const Upload& upload, bool wait) {
  const Clock::time_point deadline = Clock::now() + options_.patience;
  take_slot(deadline, wait);
  auto job = std::make_shared<JobPtr>(std::make_unique<Job>());
  (*job)->upload = upload;
  (*job)->deadline = deadline;
  PictureFuture future((*job)->promise.get_future());
  decoders_->post([this, job] { decode(std::move(*job)); });
  return future;
}

void Inference::decode(JobPtr job) {
  try {
    decode_into(job.get());
  } catch (...) {
    fail(std::move(job), current_failure());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  queued_.notify_one();
}

void Inference::decode_into(Job* job) {
  if (job->upload.hung_up != nullptr && job->upload.hung_up->load()) throw Cancelled();
  const ImageInfo info = decoder_.probe(job->upload.bytes);
  job->ticket = budget_.acquire(info.decode_bytes, job->deadline);
  const Clock::time_point begin = Clock::now();
  job->image = decoder_.decode(job->upload.bytes, info, service_->info().image_target);
  job->queued = Clock::now();
  job->ticket.shrink(job->image.size_bytes());
  job->result.width = job->image.width();
  job->result.height = job->image.height();
  job->result.stages[size_t(Stage::kDecode)] = milliseconds(job->queued - begin);
}

void Inference::batch_loop(Began* began) {
  while (true) {
    std::vector<JobPtr> jobs = next_batch(began);
    if (jobs.empty()) return;
    drop_stale(&jobs);
    if (!jobs.empty()) run(std::move(jobs));
  }
}

std::vector<Inference::JobPtr> Inference::next_batch(Began* began) {
  std::unique_lock lock(mutex_);
  began->reset();
  queued_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  std::vector<JobPtr> jobs;
  const size_t most = size_t(std::max(1, service_->info().max_batch));
  while (!queue_.empty() && jobs.size() < most) {
    jobs.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (!jobs.empty()) *began = Clock::now();
  return jobs;
}

void Inference::drop_stale(std::vector<JobPtr>* jobs) {
  std::vector<JobPtr> fresh;
  const Clock::time_point now = Clock::now();
  for (JobPtr& job : *jobs) {
    if (job->upload.hung_up != nullptr && job->upload.hung_up->load()) {
      fail(std::move(job), cancellation());
    } else if (now > job->deadline) {
      fail(std::move(job), failure(ErrorKind::kBusy, "Waited too long for the engine, try again"));
    } else if (fatal_.load()) {
      fail(std::move(job), failure(ErrorKind::kDeviceLost, "The engine has failed"));
    } else {
      job->result.stages[size_t(Stage::kQueue)] = milliseconds(now - job->queued);
      fresh.push_back(std::move(job));
    }
  }
  *jobs = std::move(fresh);
}

void Inference::run(std::vector<JobPtr> jobs) {
  try {
    run_once(jobs);
  } catch (...) {
    const PictureOutcome outcome = current_failure();
    if (outcome.error == ErrorKind::kDeviceLost) {
      report_fatal(outcome.error, outcome.message);
    } else if (jobs.size() > 1) {
      return run_each(std::move(jobs));  // one picture's failure is not its neighbours'
    }
    return fail_all(std::move(jobs), outcome);
  }
  for (JobPtr& job : jobs) finish(std::move(job));
}

void Inference::run_each(std::vector<JobPtr> jobs) {
  for (JobPtr& job : jobs) {
    std::vector<JobPtr> single;
    single.push_back(std::move(job));
    run(std::move(single));
  }
}

void Inference::run_once(std::span<const JobPtr> jobs) {
  std::vector<ImageView> images;
  for (const JobPtr& job : jobs) images.push_back(job->image.view());
  StageTimes times;
  std::vector<std::vector<Face>> faces = service_->run(images, &times);
  StageMilliseconds stages{};
  set_stages(times, &stages);
  metrics_.count_batch(jobs.size(), stages);
  if (faces.size() != jobs.size()) {
    throw Error(ErrorKind::kInternal, "engine answered " + std::to_string(faces.size()) +
                                          " pictures of " + std::to_string(jobs.size()));
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i]->result.faces = std::move(faces[i]);
    set_stages(times, &jobs[i]->result.stages);
  }
}

void Inference::finish(JobPtr job) {
  metrics_.count_picture(true, job->result.faces.size(), own_stages(job->result.stages));
  std::promise<PictureOutcome> promise = std::move(job->promise);
  PictureOutcome outcome;
  outcome.result = std::move(job->result);
  job.reset();  // pixels and ticket come free before the client can send the next
  release_slot();
  promise.set_value(std::move(outcome));
}

void Inference::fail(JobPtr job, PictureOutcome outcome) {
  if (outcome.kind == PictureOutcome::Kind::kCancelled) {
    metrics_.count_dropped(1);
  } else {
    metrics_.count_picture(false, 0, own_stages(job->result.stages));
  }
  std::promise<PictureOutcome> promise = std::move(job->promise);
  job.reset();
  release_slot();
  promise.set_value(std::move(outcome));
}

void Inference::fail_all(std::vector<JobPtr> jobs, const PictureOutcome& outcome) {
  for (JobPtr& job : jobs) fail(std::move(job), outcome);
}

void Inference::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    stopped_.wait_for(lock, options_.stuck_after / 8);
    const Clock::time_point latest = Clock::now() - options_.stuck_after;
    const bool stuck = std::any_of(began_.begin(), began_.end(),
                                   [&](const Began& began) { return began && *began < latest; });
    if (!stuck) continue;
    lock.unlock();
    report_fatal(ErrorKind::kInternal, "the engine has not answered for " +
                                           std::to_string(options_.stuck_after.count()) + " ms");
    lock.lock();
  }
}

void Inference::report_fatal(ErrorKind kind, const std::string& message) {
  if (!fatal_.exchange(true) && options_.on_fatal) options_.on_fatal(kind, message);
}

}  // namespace face
