// SPDX-License-Identifier: MIT
// tests/server/config_test.cpp - flags and environment: what is taken, and how what is wrong is
// named.
#include "server/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "engine/error.h"
#include "server/progress_bar.h"

namespace face {
namespace {

ParsedConfig parse(std::vector<const char*> words) {
  words.insert(words.begin(), "face-worker");
  return parse_config(int(words.size()), words.data());
}

/// Sets a variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST(Config, Defaults) {
  const ParsedConfig parsed = parse({"--model", "m.fwp"});
  ASSERT_TRUE(parsed.config) << parsed.text;
  const Config& config = *parsed.config;
  EXPECT_EQ(config.command, Command::kServe);
  EXPECT_EQ(config.model, "m.fwp");
  EXPECT_EQ(config.http.port, 8001);
  EXPECT_EQ(config.http.host, "0.0.0.0");
  EXPECT_EQ(config.engine.device.kind, DeviceKind::kAuto);
  EXPECT_EQ(config.engine.pipeline.precision, Precision::kAuto);
  EXPECT_EQ(config.engine.pipeline.det_sizes, std::vector<int>{640});
  EXPECT_FLOAT_EQ(config.engine.pipeline.score_threshold, 0.5f);
  EXPECT_FLOAT_EQ(config.engine.pipeline.nms_iou, 0.4f);
  EXPECT_EQ(config.max_body, size_t{16} << 20);
  EXPECT_EQ(config.image.max_bytes, config.max_body);
  EXPECT_GE(config.decode_threads, 1);
  EXPECT_GT(config.http.workers, config.engine.pipeline.max_batch);
}

TEST(Config, EveryFlagIsTaken) {
  const ParsedConfig parsed = parse({"--model=m", "--host",
                                     "::",        "--port",
                                     "0",         "--device",
                                     "cuda:1",    "--instances",
                                     "3",         "--precision",
                                     "bf16",      "--det-size",
                                     "128+640",   "--threads",
                                     "3",         "--score-threshold",
                                     "0.3",       "--nms-iou",
                                     "0.5",       "--max-batch",
                                     "2",         "--queue",
                                     "5",         "--max-connections",
                                     "7",         "--max-body",
                                     "2",         "--max-batch-body",
                                     "3",         "--max-batch-files",
                                     "4",         "--max-megapixels",
                                     "10",        "--decode-memory",
                                     "100",       "--decode-threads",
                                     "2",         "--queue-timeout",
                                     "1.5",       "--keep-alive",
                                     "3",         "--drain-delay",
                                     "0",         "--stuck-after",
                                     "9",         "--log-level",
                                     "warning"});
  ASSERT_TRUE(parsed.config) << parsed.text;
  const Config& config = *parsed.config;
  EXPECT_EQ(config.http.host, "::");
  EXPECT_EQ(config.http.port, 0);
  EXPECT_EQ(config.engine.device.kind, DeviceKind::kGpu);
  EXPECT_EQ(config.engine.device.index, 1);
  EXPECT_EQ(config.engine.instances, 3);
  EXPECT_EQ(config.http.workers, 2 * 2 + 2);
  EXPECT_EQ(http_workers(config, 3), (1 + 3) * 2 + 2);
  EXPECT_EQ(config.engine.pipeline.precision, Precision::kBf16);
  EXPECT_EQ(config.engine.pipeline.det_sizes, (std::vector<int>{128, 640}));
  EXPECT_EQ(config.engine.pipeline.threads, 3);
  EXPECT_EQ(config.engine.pipeline.max_batch, 2);
  EXPECT_EQ(config.http.max_pending, 5U);
  EXPECT_EQ(config.http.max_connections, 7U);
  EXPECT_EQ(config.max_body, size_t{2} << 20);
  EXPECT_EQ(config.max_batch_files, 4U);
  EXPECT_EQ(config.image.max_pixels, 10'000'000U);
  EXPECT_EQ(config.decode_budget, size_t{100} << 20);
  EXPECT_EQ(config.patience.count(), 1'500);
  EXPECT_EQ(config.drain_delay.count(), 0);
  EXPECT_EQ(config.stuck_after.count(), 9'000);
  EXPECT_EQ(config.log_level, log::Level::kWarning);
}

TEST(Config, DevicesByTheirWords) {
  struct Row {
    const char* word;
    DeviceKind kind;
    int index;
  };
  for (const Row& row :
       {Row{"auto", DeviceKind::kAuto, 0}, Row{"cpu", DeviceKind::kCpu, 0},
        Row{"cuda", DeviceKind::kGpu, 0}, Row{"cuda:0", DeviceKind::kGpu, 0},
        Row{"cuda:12", DeviceKind::kGpu, 12}, Row{"cuda:all", DeviceKind::kAllGpus, 0}}) {
    const ParsedConfig parsed = parse({"--model", "m", "--device", row.word});
    ASSERT_TRUE(parsed.config) << parsed.text;
    EXPECT_EQ(parsed.config->engine.device.kind, row.kind) << row.word;
    EXPECT_EQ(parsed.config->engine.device.index, row.index) << row.word;
  }
  for (const char* word : {"", "CPU", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda:1,2",
                           "cuda:4294967296", "cuda:some", "cuda1", "cpu "}) {
    const ParsedConfig parsed = parse({"--model", "m", "--device", word});
    EXPECT_FALSE(parsed.config) << word;
    EXPECT_EQ(parsed.exit_code, 1) << word;
    const std::string wanted = '"' + std::string(word) + "\" is none of auto, cpu, cuda, cuda:N or";
    EXPECT_NE(parsed.text.find("--device"), std::string::npos) << parsed.text;
    EXPECT_NE(parsed.text.find(wanted), std::string::npos) << parsed.text;
  }
}

TEST(Config, EnvironmentFillsInAndTheFlagWins) {
  const Variable model("FACE_MODEL", "env.fwp");
  const Variable port("FACE_PORT", "9000");
  const Variable size("FACE_DET_SIZE", "320");
  const ParsedConfig parsed = parse({"--port", "9001"});
  ASSERT_TRUE(parsed.config) << parsed.text;
  EXPECT_EQ(parsed.config->model, "env.fwp");
  EXPECT_EQ(parsed.config->http.port, 9001);
  EXPECT_EQ(parsed.config->engine.pipeline.det_sizes, std::vector<int>{320});
}

TEST(Config, WrongEnvironmentIsNamed) {
  const Variable port("FACE_PORT", "http");
  const ParsedConfig parsed = parse({"--model", "m"});
  EXPECT_FALSE(parsed.config);
  EXPECT_NE(parsed.text.find("--port"), std::string::npos) << parsed.text;
}

struct BadFlags {
  std::vector<const char*> words;
  std::vector<const char*> text;  // all found in the message
};
TEST(Config, WrongValuesAreNamed) {
  const std::vector<BadFlags> rows = {
      {{}, {"--model", "FACE_MODEL"}},
      {{"--model", "m", "--port", "99999"}, {"--port", "99999"}},
      {{"--model", "m", "--port", "abc"}, {"--port", "abc"}},
      {{"--model", "m", "--precision", "int8"}, {"--precision", "int8", "bf16"}},
      {{"--model", "m", "--det-size", "641"}, {"--det-size", "641", "32"}},
      {{"--model", "m", "--det-size", "640+"}, {"--det-size", "640+"}},
      {{"--model", "m", "--det-size", ""}, {"--det-size"}},
      {{"--model", "m", "--det-size", "640+128+640"}, {"--det-size", "\"640\" is there twice"}},
      {{"--model", "m", "--det-size", "128,640"}, {"--det-size", "128,640"}},
      {{"--model", "m", "--threads", "-1"}, {"--threads", "-1"}},
      {{"--model", "m", "--score-threshold", "2"}, {"--score-threshold", "2"}},
      {{"--model", "m", "--nms-iou", "nan"}, {"--nms-iou", "nan", "0.01 to 0.99"}},
      {{"--model", "m", "--max-batch", "0"}, {"--max-batch", "0"}},
      {{"--model", "m", "--log-level", "loud"}, {"--log-level", "loud", "debug"}},
      {{"--model", "m", "--keep-alive", "-1"}, {"--keep-alive", "-1"}},
      {{"--model", "m", "--nonsense"}, {"--nonsense"}},
      {{"--model", "m", "scan"}, {"FOLDER"}},
      {{"--model", "m", "scan", "/no/such/folder", "-o", "x"}, {"/no/such/folder"}},
      {{"--model", "m", "scan", "."}, {"--output"}},
      {{"--model"}, {"--model"}},
  };
  for (const BadFlags& row : rows) {
    const ParsedConfig parsed = parse(row.words);
    EXPECT_FALSE(parsed.config);
    EXPECT_EQ(parsed.exit_code, 1) << parsed.text;
    for (const char* wanted : row.text) {
      EXPECT_NE(parsed.text.find(wanted), std::string::npos) << wanted << " in: " << parsed.text;
    }
  }
}

TEST(Config, HelpNamesEveryFlagAndVariable) {
  const ParsedConfig parsed = parse({"--help"});
  EXPECT_FALSE(parsed.config);
  EXPECT_EQ(parsed.exit_code, 0);
  for (const char* wanted :
       {"--model", "--host", "--port", "--device", "--precision", "--det-size", "--threads",
        "--score-threshold", "--nms-iou", "--max-batch", "--queue", "--max-body", "FACE_MODEL",
        "FACE_DET_SIZE", "FACE_MAX_BODY", "scan", "Exit codes"}) {
    EXPECT_NE(parsed.text.find(wanted), std::string::npos) << wanted;
  }
  EXPECT_EQ(parse({"--version"}).exit_code, 0);
}

TEST(Config, ScanTakesFlagsAfterIt) {
  const ParsedConfig parsed =
      parse({"scan", ".", "-o", "out.jsonl", "--model", "m", "--threads", "1"});
  ASSERT_TRUE(parsed.config) << parsed.text;
  EXPECT_EQ(parsed.config->command, Command::kScan);
  EXPECT_EQ(parsed.config->scan_folder, ".");
  EXPECT_EQ(parsed.config->scan_output, "out.jsonl");
  EXPECT_EQ(parsed.config->engine.pipeline.threads, 1);
}

TEST(ProgressBar, Text) {
  EXPECT_EQ(progress_text(25, 100, 0, 10.0),
            "[=======>                      ] 25/100  25%  2.5/s  0:30 left");
  EXPECT_EQ(progress_text(100, 100, 2, 10.0),
            "[==============================] 100/100 100%  10.0/s  0:00 left  2 failed");
  EXPECT_EQ(progress_text(0, 8000, 0, 0.0), "[>                             ] 0/8000   0%  0.0/s");
  EXPECT_EQ(progress_text(1, 8000, 0, 1.0),
            "[>                             ] 1/8000   0%  1.0/s  2:13:19 left");
}

}  // namespace
}  // namespace face
