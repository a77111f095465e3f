// SPDX-License-Identifier: MIT
// tests/server/inference_test.cpp - many threads on an engine that works on several batches at the
// same time; small enough for ThreadSanitizer (scripts/check_races.sh).
#include "server/inference.h"

#include <gtest/gtest.h>

#include "tests/server/null_engine.h"

namespace face {
namespace {

class InferenceOfThree : public testing::Test {
 protected:
  InferenceOfThree() {
    control_->info.instances = 3;
    InferenceOptions options;
    options.decode_threads = 4;
    options.on_fatal = [this](ErrorKind kind, const std::string&) {
      EXPECT_EQ(kind, ErrorKind::kDeviceLost);
      ++fatal_reports_;
    };
    inference_ = std::make_unique<Inference>(std::make_unique<test::NullService>(control_),
                                             test::null_decoder(), std::move(options), metrics_);
  }
  /// Width of the answer, or -1 for an error.
  int ask(const std::string& text) {
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    try {
      return inference_->submit({bytes, nullptr}, /*wait=*/true).get().width;
    } catch (const Error&) {
      return -1;
    }
  }
  template <typename Client>
  static void from_threads(int count, Client client) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(client, i);
    for (std::thread& thread : threads) thread.join();
  }

  std::shared_ptr<test::NullControl> control_ = std::make_shared<test::NullControl>();
  Metrics metrics_;
  std::atomic<int> fatal_reports_{0};
  std::unique_ptr<Inference> inference_;
};

TEST_F(InferenceOfThree, EveryClientGetsItsOwnAnswer) {
  std::atomic<int> wrong{0};
  from_threads(6, [&](int client) {
    for (int n = 0; n < 100; ++n) {
      const bool broken = n % 17 == 3;
      const int width = 1 + (7 * client + n) % 50;
      const std::string text = broken ? "broken" : "PIC " + std::to_string(width) + " 4";
      if (ask(text) != (broken ? -1 : width)) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(inference_->pictures(), 0u);
  EXPECT_EQ(inference_->budget().free_bytes(), inference_->budget().total_bytes());
}

TEST_F(InferenceOfThree, ALostDeviceIsReportedOnce) {
  control_->fail_always(ErrorKind::kDeviceLost);
  from_threads(6, [&](int) { EXPECT_EQ(ask("PIC 3 4"), -1); });
  EXPECT_EQ(fatal_reports_, 1);
}

}  // namespace
}  // namespace face
