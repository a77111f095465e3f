// SPDX-License-Identifier: MIT
// tests/image/corpus_test.cpp - every odd and broken picture of the shared corpus gets the verdict
// that its table expects, within its memory ticket.
#include "tests/image/corpus.h"

#include <gtest/gtest.h>

#include "tests/support/shared.h"

namespace face::test {
namespace {

class Corpus : public testing::TestWithParam<bool> {};

TEST_P(Corpus, VerdictsAsExpected) {
  FACE_REQUIRE_SHARED("hostile/SOURCES.tsv");
  CorpusOptions options;
  options.folder = shared_dir() / "hostile";
  options.max_cpu_ms = 60'000;  // time is face_corpus's to judge: machines differ
  options.deadline = std::chrono::seconds(60);
  options.max_extra_mb = 1;
  options.target.planes = GetParam();
  const CorpusResult result = run_corpus(options);
  EXPECT_GT(result.decoded + result.refused, 2000);
  EXPECT_TRUE(result.faults.empty()) << report(result);
  RecordProperty("slowest_ms", std::to_string(result.slowest_ms));
}
INSTANTIATE_TEST_SUITE_P(To, Corpus, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "planes" : "rgb"; });

}  // namespace
}  // namespace face::test
