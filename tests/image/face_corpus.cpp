// SPDX-License-Identifier: MIT
// tests/image/face_corpus.cpp - decodes a folder of odd and broken pictures, holds the verdicts
// against its SOURCES.tsv, prints what differs, the slowest file and the largest memory.
//
// Usage: face_corpus FOLDER [--max-cpu-ms N] [--max-extra-mb N] [--verbose]
// Exit code: 0 all verdicts as expected and within the limits, 1 not, 2 wrong usage.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/image/corpus.h"

int main(int argc, char** argv) {
  face::test::CorpusOptions options;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* flag) { return std::strcmp(argv[i], flag) == 0; };
    if (is("--verbose")) {
      options.verbose = true;
    } else if (is("--max-cpu-ms") && i + 1 < argc) {
      options.max_cpu_ms = std::atof(argv[++i]);
    } else if (is("--max-extra-mb") && i + 1 < argc) {
      options.max_extra_mb = std::atof(argv[++i]);
    } else if (options.folder.empty() && argv[i][0] != '-') {
      options.folder = argv[i];
    } else {
      options.folder.clear();
      break;
    }
  }
  if (options.folder.empty()) {
    std::fprintf(stderr, "face_corpus FOLDER [--max-cpu-ms N] [--max-extra-mb N] [--verbose]\n");
    return 2;
  }
  const face::test::CorpusResult result = face::test::run_corpus(options);
  std::fputs(face::test::report(result).c_str(), stdout);
  return result.faults.empty() ? 0 : 1;
}
