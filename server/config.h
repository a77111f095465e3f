// SPDX-License-Identifier: MIT
// server/config.h - what the command line and the environment ask for.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/face_engine.h"
#include "engine/image.h"
#include "server/http_server.h"
#include "server/log.h"

namespace face {

enum class Command { kServe, kScan };

struct Config {
  Command command = Command::kServe;
  std::string model;
  EngineOptions engine;
  ImageLimits image;
  size_t decode_budget = size_t{512} << 20;
  int decode_threads = 1;
  log::Level log_level = log::Level::kInfo;

  http::ServerOptions http;
  size_t max_body = size_t{16} << 20;
  size_t max_batch_body = size_t{64} << 20;
  size_t max_batch_files = 64;
  std::chrono::milliseconds patience{10'000};
  std::chrono::milliseconds drain_delay{2'000};
  std::chrono::milliseconds stuck_after{30'000};

  std::string scan_folder;
  std::string scan_output;
};

/// What to do after parsing: run `config`, or print `text` and exit.
struct ParsedConfig {
  std::optional<Config> config;
  int exit_code = 0;
  std::string text;  // help or version for stdout if exit_code is 0, else the error for stderr
};

/// Threads that answer requests: enough to keep a batch decoding while the engine works on
/// `runs_at_once` others. The rest waits undecoded, which is cheaper.
[[nodiscard]] int http_workers(const Config& config, int runs_at_once);

/// Reads flags, and FACE_* variables for flags not given; http.workers is for one run at a time.
/// Errors name the flag and its value.
[[nodiscard]] ParsedConfig parse_config(int argc, const char* const* argv);

/// "640" or "128+640": squares, multiples of 32 from 32 to 4096.
/// Throws Error(kInvalidArgument) that names the text.
[[nodiscard]] std::vector<int> parse_det_sizes(const std::string& text);

/// Cores this process may use, at least 1.
[[nodiscard]] int usable_cores();

}  // namespace face
