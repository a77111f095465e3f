// SPDX-License-Identifier: MIT
// server/config.cpp - flags by CLI11.
#include "server/config.h"

#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/error.h"

#ifndef FACE_VERSION
#error "FACE_VERSION is set by the build"
#endif

namespace face {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

/// Values as they are typed; apply() turns them into a Config.
struct Raw {
  int queue = 64;
  int max_connections = 1'024;
  int max_body = 16, max_batch_body = 64, max_batch_files = 64;  // MiB, MiB, number
  int max_megapixels = 50;
  int decode_memory = 512;  // MiB
  int decode_threads = 0;
  double queue_timeout = 10, keep_alive = 15, drain_delay = 2, stuck_after = 30;  // seconds
};

/// Between two numbers; CLI::Range lets NaN through.
CLI::Validator between(double low, double high) {
  std::ostringstream words;
  words << low << " to " << high;
  const std::string range = words.str();
  return CLI::Validator(
      [low, high, range](const std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value);
        if (number && value >= low && value <= high) return std::string();
        return "\"" + text + "\" is not a number from " + range;
      },
      "FLOAT in [" + range + "]", "between");
}

/// A flag whose text `parse` reads; what that throws is the message, after the flag's name.
template <typename T>
CLI::Option* add_parsed(CLI::App* app, const std::string& flag, T* value,
                        T (*parse)(const std::string&), const std::string& help) {
  const auto take = [flag, value, parse](const std::string& text) {
    try {
      *value = parse(text);
    } catch (const Error& error) {
      throw CLI::ValidationError(flag, error.what());
    }
  };
  return app->add_option_function<std::string>(flag, take, help);
}

std::chrono::milliseconds seconds(double value) {
  return std::chrono::milliseconds(int64_t(value * 1000));
}

void add_engine_options(CLI::App* app, Config* config) {
  PipelineOptions& pipeline = config->engine.pipeline;
  app->add_option("--model", config->model, "Weight file (.fwp), made by weights_tool convert")
      ->envname("FACE_MODEL");
  add_parsed(app, "--device", &config->engine.device, parse_device, kDeviceWords)
      ->envname("FACE_DEVICE")
      ->default_str("auto");
  add_parsed(app, "--precision", &pipeline.precision, parse_precision, kPrecisionWords)
      ->envname("FACE_PRECISION")
      ->default_str("auto");
  add_parsed(app, "--det-size", &pipeline.det_sizes, parse_det_sizes,
             "Detector input: one square side, or several joined by +, e.g. 128+640")
      ->envname("FACE_DET_SIZE")
      ->default_str("640");
  app->add_option("--threads", pipeline.threads, "Threads of the CPU engine; 0: every core")
      ->envname("FACE_THREADS")
      ->check(CLI::Range(0, 1'024))
      ->capture_default_str();
  app->add_option(
         "--instances", config->engine.instances,
         "Batches that a GPU works on at the same time, so that copies and kernels overlap")
      ->envname("FACE_INSTANCES")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app->add_flag("!--no-cudnn", pipeline.use_cudnn,
                "cuda: our own kernels alone, even where cuDNN is installed and faster")
      ->envname("FACE_NO_CUDNN");
  app->add_option("--score-threshold", pipeline.score_threshold, "Faces below it are dropped")
      ->envname("FACE_SCORE_THRESHOLD")
      ->check(between(0.01, 0.99))
      ->capture_default_str();
  app->add_option("--nms-iou", pipeline.nms_iou, "Boxes that overlap more are one face")
      ->envname("FACE_NMS_IOU")
      ->check(between(0.01, 0.99))
      ->capture_default_str();
  app->add_option("--max-batch", pipeline.max_batch, "Pictures of one run of the engine")
      ->envname("FACE_MAX_BATCH")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

void add_picture_options(CLI::App* app, Config* config, Raw* raw) {
  app->add_option("--max-megapixels", raw->max_megapixels, "Larger pictures are refused")
      ->envname("FACE_MAX_MEGAPIXELS")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  app->add_option("--decode-memory", raw->decode_memory,
                  "MiB that all pictures being decoded or waiting may take")
      ->envname("FACE_DECODE_MEMORY")
      ->check(CLI::Range(64, 65'536))
      ->capture_default_str();
  app->add_option("--decode-threads", raw->decode_threads, "Threads that decode; 0: every core")
      ->envname("FACE_DECODE_THREADS")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  add_parsed(app, "--log-level", &config->log_level, log::parse_level, log::kLevelWords)
      ->envname("FACE_LOG_LEVEL")
      ->default_str("info");
}

void add_limit_options(CLI::App* app, Raw* raw) {
  app->add_option("--queue", raw->queue, "Requests that may wait; more are answered 503")
      ->envname("FACE_QUEUE")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app->add_option("--max-connections", raw->max_connections, "Connections; more are answered 503")
      ->envname("FACE_MAX_CONNECTIONS")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app->add_option("--max-body", raw->max_body, "MiB of one picture")
      ->envname("FACE_MAX_BODY")
      ->check(CLI::Range(1, 1'024))
      ->capture_default_str();
  app->add_option("--max-batch-body", raw->max_batch_body, "MiB of one /detect-batch request")
      ->envname("FACE_MAX_BATCH_BODY")
      ->check(CLI::Range(1, 4'096))
      ->capture_default_str();
  app->add_option("--max-batch-files", raw->max_batch_files, "Pictures of one /detect-batch")
      ->envname("FACE_MAX_BATCH_FILES")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
}

void add_time_options(CLI::App* app, Raw* raw) {
  const CLI::Validator range = between(0.0, 3'600.0);
  const CLI::Validator positive = between(0.1, 3'600.0);
  app->add_option("--queue-timeout", raw->queue_timeout, "Seconds a picture waits before 503")
      ->envname("FACE_QUEUE_TIMEOUT")
      ->check(positive)
      ->capture_default_str();
  app->add_option("--keep-alive", raw->keep_alive, "Seconds an idle connection is kept")
      ->envname("FACE_KEEP_ALIVE")
      ->check(positive)
      ->capture_default_str();
  app->add_option("--drain-delay", raw->drain_delay,
                  "Seconds of accepting after SIGTERM, while health says draining")
      ->envname("FACE_DRAIN_DELAY")
      ->check(range)
      ->capture_default_str();
  app->add_option("--stuck-after", raw->stuck_after,
                  "Seconds one run of the engine may take before the worker exits with 70")
      ->envname("FACE_STUCK_AFTER")
      ->check(positive)
      ->capture_default_str();
}

void add_server_options(CLI::App* app, Config* config, Raw* raw) {
  app->add_option("--host", config->http.host, "Address to listen on; :: is IPv6 and IPv4")
      ->envname("FACE_HOST")
      ->capture_default_str();
  app->add_option("--port", config->http.port, "Port to listen on; 0 takes a free one")
      ->envname("FACE_PORT")
      ->check(CLI::Range(0, 65'535))
      ->capture_default_str();
  add_limit_options(app, raw);
  add_time_options(app, raw);
}

CLI::App* add_scan(CLI::App* app, Config* config) {
  CLI::App* scan = app->add_subcommand(
      "scan", "Finds the faces of every picture in a folder; resumes where it was stopped");
  scan->add_option("FOLDER", config->scan_folder, "Searched with its subfolders")
      ->required()
      ->check(CLI::ExistingDirectory);
  scan->add_option("-o,--output", config->scan_output, "JSON lines, one per picture")->required();
  scan->fallthrough();  // --model and the like are taken after the word scan, too
  return scan;
}

void apply_limits(const Raw& raw, Config* config) {
  config->max_body = size_t(raw.max_body) * kMiB;
  config->max_batch_body = size_t(raw.max_batch_body) * kMiB;
  config->max_batch_files = size_t(raw.max_batch_files);
  config->image.max_bytes = config->max_body;
  config->image.max_pixels = uint64_t(raw.max_megapixels) * 1'000'000;
  config->decode_budget = size_t(raw.decode_memory) * kMiB;
  config->decode_threads = raw.decode_threads > 0 ? raw.decode_threads : usable_cores();
  config->http.max_pending = size_t(raw.queue);
  config->http.max_connections = size_t(raw.max_connections);
  config->http.max_upload_bytes = std::max(2 * config->max_batch_body, 8 * config->max_body);
  config->http.keep_alive = seconds(raw.keep_alive);
  config->patience = seconds(raw.queue_timeout);
  config->drain_delay = seconds(raw.drain_delay);
  config->stuck_after = seconds(raw.stuck_after);
}

void apply(const Raw& raw, Config* config) {
  if (config->model.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "--model (or FACE_MODEL) is missing: a weight file made by weights_tool convert");
  }
  apply_limits(raw, config);
  config->http.workers = http_workers(*config, 1);
}

}  // namespace

int usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  return std::max(1, CPU_COUNT(&cores));
}

int http_workers(const Config& config, int runs_at_once) {
  return (1 + runs_at_once) * config.engine.pipeline.max_batch + config.decode_threads;
}

std::vector<int> parse_det_sizes(const std::string& text) {
  constexpr int kMultiple = 32;
  constexpr int kLargest = 4'096;
  std::vector<int> sizes;
  std::istringstream words(std::string(text).append("+"));
  for (std::string word; std::getline(words, word, '+');) {
    int size = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    const bool good = error == std::errc() && end == word.data() + word.size() && size > 0 &&
                      size <= kLargest && size % kMultiple == 0;
    const auto refuse = [&](const char* reason) {
      std::string message = text;
      message.append(": \"").append(word).append("\" ").append(reason);
      throw Error(ErrorKind::kInvalidArgument, message);
    };
    if (!good) refuse("is not a multiple of 32 between 32 and 4096");
    if (std::find(sizes.begin(), sizes.end(), size) != sizes.end()) refuse("is there twice");
    sizes.push_back(size);
  }
  return sizes;
}

ParsedConfig parse_config(int argc, const char* const* argv) {
  Config config;
  Raw raw;
  CLI::App app("Finds faces in pictures and describes them: an HTTP worker, or a scan of a folder.",
               "face-worker");
  app.set_version_flag("--version", FACE_VERSION);
  add_engine_options(&app, &config);
  add_picture_options(&app, &config, &raw);
  add_server_options(&app, &config, &raw);
  const CLI::App* scan = add_scan(&app, &config);
  app.footer(
      "Every flag can be given as the environment variable named beside it; the flag wins.\n"
      "Exit codes: 0 after SIGTERM, 1 wrong configuration or unusable model,\n"
      "70 the engine is stuck, 71 the device is lost (restart the worker).");
  try {
    app.parse(argc, argv);
    config.command = scan->parsed() ? Command::kScan : Command::kServe;
    apply(raw, &config);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    const int code = app.exit(error, out, out);
    return {std::nullopt, code == 0 ? 0 : 1, out.str()};
  } catch (const Error& error) {
    return {std::nullopt, 1, std::string(error.what()) + "\n"};
  }
  return {std::move(config), 0, {}};
}

}  // namespace face
