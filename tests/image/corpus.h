// SPDX-License-Identifier: MIT
// tests/image/corpus.h - runs the decoders over a folder described by SOURCES.tsv.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/image.h"

namespace face::test {

struct CorpusOptions {
  std::filesystem::path folder;
  double max_cpu_ms = 300;
  double max_extra_mb = 64;                                     // beyond the ticket
  std::chrono::milliseconds deadline = ImageLimits{}.deadline;  // of the decoders, wall time
  ImageTarget target = {};
  bool verbose = false;  // a line per file
};

struct CorpusResult {
  int decoded = 0, refused = 0, not_offered = 0;  // not_offered: 415 instead of `decode`
  std::vector<std::string> faults;                // a line each
  double slowest_ms = 0, most_extra_mb = -1e9, most_ticket_mb = 0;
  std::string slowest, most_extra, most_ticket;
};

/// Every row `path ... expected ...` of folder/SOURCES.tsv. Expected `decode` has to decode, or may
/// be refused as unsupported where the row says "if the format is offered"; `reject` has to be
/// refused as bad, unsupported or too large; `either` may do both. Anything else is a fault, and so
/// are a size that differs from the row's, more CPU time or memory than the options allow.
/// Throws std::runtime_error if the table cannot be read.
[[nodiscard]] CorpusResult run_corpus(const CorpusOptions& options);

[[nodiscard]] std::string report(const CorpusResult& result);

}  // namespace face::test
