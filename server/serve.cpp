// SPDX-License-Identifier: MIT
// server/serve.cpp - wiring of application, HTTP server and signals.
#include "server/serve.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "server/face_app.h"

namespace face {
namespace {

constexpr std::chrono::seconds kDrainPatience{20};
constexpr std::chrono::seconds kFatalPatience{2};

std::string mebibytes(size_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20); }

/// Signals this process waits for, blocked in every thread. SIGUSR1 is sent by ourselves, when the
/// server has ended or has to.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

/// Raises the limit of descriptors as far as it goes; returns how many connections fit under it.
size_t fit_connections(size_t wanted) {
  constexpr rlim_t kReserved = 64;  // files, devices, logs
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = rlim_t(wanted) + 2 * kReserved;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(limit.rlim_max, needed);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlim_t usable = limit.rlim_cur > 3 * kReserved ? limit.rlim_cur - 2 * kReserved : kReserved;
  return size_t(std::min<rlim_t>(usable, wanted));
}

void log_budget(const Config& config) {
  log::write(log::Level::kInfo, "memory_budget",
             {{"decode_mib", mebibytes(config.decode_budget)},
              {"uploads_mib", mebibytes(config.http.max_upload_bytes)},
              {"connections", std::to_string(config.http.max_connections)},
              {"resident_mib", mebibytes(resident_bytes())}});
}

void log_ready(const ServiceInfo& info, std::chrono::steady_clock::time_point begin) {
  const auto took = std::chrono::steady_clock::now() - begin;
  if (!info.device.warning.empty()) {
    log::write(log::Level::kWarning, "device", {{"warning", info.device.warning}});
  }
  if (info.untrained) {
    log::write(log::Level::kWarning, "untrained",
               {{"warning", "generated weights: answers mean nothing, health is never healthy"}});
  }
  if (!info.notes.empty())
    log::write(log::Level::kInfo, "implementations", {{"notes", info.notes}});
  const auto& pictures = info.image_target.memory;
  log::write(log::Level::kInfo, "ready",
             {{"device", info.device.is_cuda ? "cuda" : "cpu"},
              {"device_name", info.device.name},
              {"driver", info.device.driver},
              {"precision", to_string(info.precision)},
              {"max_batch", std::to_string(info.max_batch)},
              {"instances", std::to_string(info.instances)},
              {"model", info.fingerprint},
              {"weights_mapped_mib", mebibytes(info.mapped_bytes)},
              {"activations_and_copies_mib", mebibytes(info.memory_bytes)},
              {"picture_memory_mib", mebibytes(pictures ? pictures->bytes() : 0)},
              {"resident_mib", mebibytes(resident_bytes())},
              {"seconds", std::to_string(std::chrono::duration<double>(took).count())}});
}

/// The process's side of a fatal error: code and reason, told once.
struct Fatal {
  std::atomic<int> exit_code{kExitOk};

  void report(int code, const std::string& reason) {
    exit_code = code;
    log::write(log::Level::kError, "fatal",
               {{"exit_code", std::to_string(code)}, {"reason", reason}});
    ::kill(::getpid(), SIGUSR1);
  }
};

AppOptions app_options(const Config& config, Fatal* fatal) {
  AppOptions options;
  options.max_body = config.max_body;
  options.max_batch_body = config.max_batch_body;
  options.max_batch_files = config.max_batch_files;
  options.inference.decode_threads = config.decode_threads;
  options.inference.decode_budget = config.decode_budget;
  options.inference.patience = config.patience;
  options.inference.stuck_after = config.stuck_after;
  options.inference.max_pictures =
      2 * size_t(config.http.workers) + 4 * size_t(config.engine.pipeline.max_batch);
  options.on_fatal = [fatal](int code, const std::string& reason) { fatal->report(code, reason); };
  return options;
}

[[noreturn]] void exit_now(int code) {
  log::stop();
  std::_Exit(code);
}

/// One wait for a signal; nothing when `patience` ended first.
std::optional<int> wait_for_signal(const sigset_t& signals,
                                   std::optional<std::chrono::seconds> patience) {
  const timespec time{patience.value_or(std::chrono::seconds{0}).count(), 0};
  siginfo_t info{};
  while (true) {
    const int signal =
        patience ? ::sigtimedwait(&signals, &info, &time) : ::sigwaitinfo(&signals, &info);
    if (signal > 0) return signal;
    if (errno == EAGAIN) return std::nullopt;
  }
}

/// Until the server has ended. Ends the process where that would take too long.
void supervise(const Config& config, const sigset_t& signals, const Fatal& fatal,
               const std::atomic<bool>& ended, FaceApp* app, http::Server* server) {
  std::optional<std::chrono::seconds> patience;
  while (!ended) {
    const auto signal = wait_for_signal(signals, patience);
    const bool asked = signal == SIGTERM || signal == SIGINT;
    const int code = fatal.exit_code.load();
    if (!signal || (asked && patience)) exit_now(code != kExitOk ? code : kExitFailure);
    if (ended) return;
    app->begin_drain();
    server->drain(code != kExitOk ? std::chrono::milliseconds{0} : config.drain_delay);
    log::write(log::Level::kInfo, "draining", {{"signal", std::to_string(*signal)}});
    patience = code != kExitOk ? kFatalPatience : kDrainPatience;
  }
}

}  // namespace

int serve(const Config& config, const ServiceFactory& factory, const PictureDecoder& decoder) {
  const auto begin = std::chrono::steady_clock::now();
  const sigset_t signals = block_signals();
  log::start(config.log_level);
  Fatal fatal;
  std::unique_ptr<http::Server> server;
  AppOptions options = app_options(config, &fatal);
  options.server_stats = [&server] { return server->stats(); };
  FaceApp app(std::move(options));
  http::ServerOptions http = config.http;
  http.max_connections = fit_connections(http.max_connections);
  server = std::make_unique<http::Server>(app, http);
  log::write(
      log::Level::kInfo, "listening",
      {{"host", http.host}, {"port", std::to_string(server->port())}, {"model", config.model}});
  log_budget(config);
  std::atomic<bool> ended{false};
  std::thread loop([&] {
    server->run();
    ended = true;
    ::kill(::getpid(), SIGUSR1);
  });
  app.load(factory, decoder, [begin](const ServiceInfo& info) { log_ready(info, begin); });
  supervise(config, signals, fatal, ended, &app, server.get());
  loop.join();
  log::write(log::Level::kInfo, "stopped", {{"exit_code", std::to_string(fatal.exit_code.load())}});
  // Nothing was accepted while a model loads, and nobody waits for it any more.
  if (fatal.exit_code != kExitOk || app.loading()) exit_now(fatal.exit_code);
  log::stop();
  return kExitOk;
}

}  // namespace face
