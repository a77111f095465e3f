// SPDX-License-Identifier: MIT
// server/log.cpp - an asynchronous spdlog logger over a sink that never blocks for long.
#include "server/log.h"

#include <poll.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "engine/error.h"

namespace face::log {
namespace {

constexpr size_t kQueuedLines = 8'192;
constexpr int kPatienceMs = 50;

std::atomic<uint64_t> lost_lines{0};

/// Writes to a descriptor only while it takes bytes at once.
class PatientSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit PatientSink(int fd) : fd_(fd) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    pollfd ready{fd_, POLLOUT, 0};
    const bool writable = ::poll(&ready, 1, stuck_ ? 0 : kPatienceMs) == 1 &&
                          (ready.revents & POLLOUT) != 0 &&
                          (ready.revents & (POLLERR | POLLNVAL)) == 0;
    // A pipe that polls as writable takes PIPE_BUF bytes; lines are kept shorter.
    stuck_ = !writable || ::write(fd_, line.data(), line.size()) != ssize_t(line.size());
    if (stuck_) ++lost_lines;
  }
  void flush_() override {}

 private:
  const int fd_;
  bool stuck_ = false;  // the last line was lost: wait no more until one gets through
};

struct Running {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};
std::mutex running_mutex;
std::shared_ptr<Running> running;

std::shared_ptr<Running> current() {
  const std::lock_guard lock(running_mutex);
  return running;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

bool is_plain(char c) { return c > ' ' && c < 127 && c != '"' && c != '=' && c != '\\'; }

}  // namespace

Level parse_level(const std::string& text) {
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warning") return Level::kWarning;
  if (text == "error") return Level::kError;
  throw Error(ErrorKind::kInvalidArgument, "log level \"" + text + "\" is none of " + kLevelWords);
}

void start(Level level) {
  auto next = std::make_shared<Running>();
  next->pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
  next->logger = std::make_shared<spdlog::async_logger>(
      "face-worker", std::make_shared<PatientSink>(STDERR_FILENO), next->pool,
      spdlog::async_overflow_policy::overrun_oldest);
  next->logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v", spdlog::pattern_time_type::utc));
  next->logger->set_level(to_spdlog(level));
  const std::lock_guard lock(running_mutex);
  running = std::move(next);
}

void stop() {
  std::shared_ptr<Running> last;
  {
    const std::lock_guard lock(running_mutex);
    last = std::exchange(running, nullptr);
  }
  // The pool's destructor writes what is queued; the sink's patience bounds each line.
}

uint64_t dropped() {
  const auto now = current();
  return lost_lines.load() + (now == nullptr ? 0 : now->pool->overrun_counter());
}

void append_field(std::string* line, std::string_view key, std::string_view value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  line->append(" ").append(key).append("=");
  bool plain = !value.empty();
  for (const char c : value) plain = plain && is_plain(c);
  if (plain) {
    line->append(value);
    return;
  }
  line->push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') line->push_back('\\');
    if (byte >= 32 && byte != 127) {
      line->push_back(c);
    } else {
      line->append("\\x");
      line->push_back(kHex[byte >> 4]);
      line->push_back(kHex[byte & 15]);
    }
  }
  line->push_back('"');
}

void write(Level level, std::string_view event, std::initializer_list<Field> fields,
           std::string_view extra) {
  constexpr size_t kMaxLine = 3'900;  // with time and level under PIPE_BUF
  const auto now = current();
  if (now == nullptr || !now->logger->should_log(to_spdlog(level))) return;
  std::string line = "event=";
  line.append(event);
  for (const auto& [key, value] : fields) append_field(&line, key, value);
  line.append(extra);
  if (line.size() > kMaxLine) line.resize(kMaxLine);
  now->logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace face::log
