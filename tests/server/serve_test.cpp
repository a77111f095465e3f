// SPDX-License-Identifier: MIT
// tests/server/serve_test.cpp - the worker as a process, on a null engine: start, signals, exit
// codes, a log that nobody reads.
#include "server/serve.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

#include "server/face_app.h"
#include "tests/server/null_engine.h"
#include "tests/server/raw_client.h"

namespace face {
namespace {

using test::post_picture;
using test::RawClient;
using namespace std::chrono_literals;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

Config quick_config() {
  Config config;
  config.http.host = "127.0.0.1";
  config.http.port = 0;
  config.http.workers = 4;
  config.drain_delay = 200ms;
  config.decode_threads = 2;
  return config;
}

/// serve() in a child process.
class Child {
 public:
  Child(const Config& config, const ServiceFactory& factory) {
    EXPECT_EQ(::pipe2(log_, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) run_child(config, factory);
    ::close(log_[1]);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    stop_reading();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Reads the log until a line holds `text`; everything read so far, empty if it never comes.
  std::string await_log(const std::string& text) {
    char bytes[4'096];
    while (seen_.find(text) == std::string::npos) {
      const ssize_t got = ::read(log_[0], bytes, sizeof(bytes));
      if (got <= 0) return {};
      seen_.append(bytes, size_t(got));
    }
    return seen_;
  }
  int port() {
    const std::string log = await_log("event=memory_budget");
    const size_t at = log.find(" port=");
    return at == std::string::npos ? 0 : std::atoi(log.c_str() + at + 6);
  }
  void stop_reading() {
    if (log_[0] >= 0) ::close(log_[0]);
    log_[0] = -1;
  }
  void signal(int number) const { ::kill(pid_, number); }
  int exit_code() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1'000 + WTERMSIG(status);
  }

 private:
  [[noreturn]] void run_child(const Config& config, const ServiceFactory& factory) {
    ::dup2(log_[1], STDERR_FILENO);
    int code = 99;
    try {
      code = serve(config, factory, test::null_decoder());
    } catch (const std::exception& error) {
      dprintf(STDERR_FILENO, "%s\n", error.what());
    }
    std::_Exit(code);
  }

  int log_[2] = {-1, -1};
  pid_t pid_ = -1;
  std::string seen_;
};

/// An engine; `prepare` sets it up in the child.
ServiceFactory null_factory(const std::function<void(test::NullControl*)>& prepare = {}) {
  return [prepare] {
    auto control = std::make_shared<test::NullControl>();
    if (prepare) prepare(control.get());
    return std::make_unique<test::NullService>(control);
  };
}

TEST(Serve, StartsServesAndEndsWithZero) {
  Child child(quick_config(), null_factory());
  RawClient client(child.port());
  const std::string log = child.await_log("event=ready");
  EXPECT_NE(log.find("resident_mib="), std::string::npos) << log;
  EXPECT_NE(log.find("decode_mib=512"), std::string::npos) << log;
  EXPECT_EQ(client.ask(kGet).status, 200);
  EXPECT_EQ(client.ask(post_picture("/detect", "file", "PIC 2 2", "X-Request-Id: abc\r\n")).status,
            200);
  EXPECT_NE(child.await_log("event=request").find("id=abc method=POST path=/detect status=200"),
            std::string::npos);
  child.signal(SIGTERM);
  child.await_log("event=draining");
  EXPECT_EQ(RawClient(child.port()).ask(kGet).status, 503);
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(Serve, UntrainedWeightsAreWarnedOf) {
  Child child(quick_config(), null_factory([](auto* control) { control->info.untrained = true; }));
  EXPECT_NE(child.await_log("event=ready").find("level=warning event=untrained"),
            std::string::npos);
}

TEST(Serve, FinishesWhatWasAccepted) {
  Child child(quick_config(), null_factory([](test::NullControl* control) {
                control->close_gate();
                std::thread([control] {
                  std::this_thread::sleep_for(1s);
                  control->open_gate();
                }).detach();
              }));
  RawClient client(child.port());
  child.await_log("event=ready");
  client.send(post_picture("/detect", "file", "PIC 2 2"));
  std::this_thread::sleep_for(100ms);
  child.signal(SIGINT);
  EXPECT_EQ(client.receive().status, 200);
  client.hang_up();
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(Serve, DoesNotWaitForAModelThatLoads) {
  Child child(quick_config(), []() -> std::unique_ptr<FaceService> {
    std::this_thread::sleep_for(20s);
    std::_Exit(98);
  });
  RawClient client(child.port());
  EXPECT_NE(client.ask(kGet).body.find("initializing"), std::string::npos);
  child.signal(SIGTERM);
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(Serve, SecondSignalEndsAtOnce) {
  Config config = quick_config();
  config.drain_delay = std::chrono::hours(1);
  Child child(config, null_factory());
  child.await_log("event=ready");
  child.signal(SIGTERM);
  child.await_log("event=draining");
  child.signal(SIGTERM);
  EXPECT_EQ(child.exit_code(), kExitFailure);
}

TEST(Serve, FailedLoadSaysWhyAndEndsWithOne) {
  Child child(quick_config(), []() -> std::unique_ptr<FaceService> {
    throw Error(ErrorKind::kDevice, "cuda:0: driver too old");
  });
  EXPECT_NE(child.await_log("event=fatal").find("cuda:0: driver too old"), std::string::npos);
  EXPECT_EQ(child.exit_code(), kExitFailure);
}

TEST(Serve, LostDeviceEndsWithItsCode) {
  Child child(quick_config(), null_factory([](test::NullControl* control) {
                control->fail_next(ErrorKind::kDeviceLost);
              }));
  RawClient client(child.port());
  child.await_log("event=ready");
  EXPECT_EQ(client.ask(post_picture("/detect", "file", "PIC 2 2")).status, 503);
  EXPECT_EQ(child.exit_code(), kExitDeviceLost);
}

TEST(Serve, StuckEngineEndsWithItsCode) {
  Config config = quick_config();
  config.stuck_after = 200ms;
  Child child(config, null_factory([](auto* control) { control->close_gate(); }));
  RawClient client(child.port());
  child.await_log("event=ready");
  client.send(post_picture("/detect", "file", "PIC 2 2"));
  EXPECT_EQ(child.exit_code(), kExitStuck);
}

TEST(Serve, PortInUseIsAnError) {
  Child first(quick_config(), null_factory());
  Config config = quick_config();
  config.http.port = first.port();
  Child second(config, null_factory());
  EXPECT_NE(second.await_log("in use").find(std::to_string(config.http.port)), std::string::npos);
  EXPECT_EQ(second.exit_code(), 99);  // main() maps the error
}

TEST(Serve, NobodyReadsTheLog) {
  for (const bool closed : {true, false}) {
    Child child(quick_config(), null_factory());
    RawClient client(child.port());
    child.await_log("event=ready");
    if (closed) child.stop_reading();
    for (int i = 0; i < 2'000; ++i) {  // more lines than a pipe holds
      ASSERT_EQ(client.ask(post_picture("/detect", "file", "PIC 2 2")).status, 200) << i;
    }
    EXPECT_EQ(client.ask(kGet).status, 200);
    child.signal(SIGTERM);
    client.hang_up();
    EXPECT_EQ(child.exit_code(), 0);
  }
}

}  // namespace
}  // namespace face
