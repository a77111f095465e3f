// SPDX-License-Identifier: MIT
// tests/image/corpus.cpp - one row at a time: read, probe, decode, measure, judge.
#include "tests/image/corpus.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "engine/error.h"
#include "engine/image.h"
#include "tests/image/heap_meter.h"

namespace face::test {
namespace {

struct Row {
  std::string path, expected, exercises;
  int width = 0, height = 0;
};

struct Verdict {
  enum class Kind { kDecoded, kRefused, kFault } kind = Kind::kFault;
  bool unsupported = false;
  std::string text;  // message, or the size
  double cpu_ms = 0, ticket_mb = 0, extra_mb = 0;
};

double cpu_ms() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
}

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Row> read_rows(const std::filesystem::path& table) {
  std::ifstream in(table);
  std::string line;
  if (!in || !std::getline(in, line)) throw std::runtime_error("cannot read " + table.string());
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string cell[9];
    for (auto& c : cell) std::getline(fields, c, '\t');
    rows.push_back(
        {cell[0], cell[5], cell[6], std::atoi(cell[2].c_str()), std::atoi(cell[3].c_str())});
  }
  return rows;
}

void refuse(Verdict& verdict, const Error& error) {
  verdict.text = error.what();
  verdict.unsupported = error.kind() == ErrorKind::kUnsupportedFormat;
  const bool refusal = verdict.unsupported || error.kind() == ErrorKind::kBadImage ||
                       error.kind() == ErrorKind::kTooLarge;
  verdict.kind = refusal ? Verdict::Kind::kRefused : Verdict::Kind::kFault;
}

Verdict decode(const std::vector<uint8_t>& bytes, const ImageLimits& limits,
               const ImageTarget& target) {
  constexpr double kMb = 1 << 20;
  Verdict verdict;
  const double start = cpu_ms();
  heap_start();
  try {
    const ImageInfo info = probe_image(bytes, limits);
    verdict.ticket_mb = static_cast<double>(info.decode_bytes) / kMb;
    const Image image = decode_image(bytes, info, limits, target);
    verdict.kind = Verdict::Kind::kDecoded;
    verdict.text = std::to_string(image.width()) + " x " + std::to_string(image.height());
  } catch (const Error& error) {
    refuse(verdict, error);
  } catch (const std::exception& error) {
    verdict.text = std::string("exception: ") + error.what();
  }
  verdict.extra_mb = static_cast<double>(heap_stop().peak) / kMb - verdict.ticket_mb;
  verdict.cpu_ms = cpu_ms() - start;
  return verdict;
}

/// Why the verdict is not what the row expects, or nothing.
std::string judge(const Row& row, const Verdict& verdict, const CorpusOptions& options) {
  if (verdict.kind == Verdict::Kind::kFault) return "failed in a way that is no refusal";
  const bool decoded = verdict.kind == Verdict::Kind::kDecoded;
  const bool may_be_absent = row.exercises.find("if the format is offered") != std::string::npos;
  if (row.expected == "decode" && !decoded && !(verdict.unsupported && may_be_absent)) {
    return "should decode";
  }
  if (row.expected == "reject" && decoded) return "should be refused";
  if (verdict.cpu_ms > options.max_cpu_ms) return "too slow";
  if (verdict.extra_mb > options.max_extra_mb) return "takes more memory than its ticket";
  return "";
}

std::string line(const Row& row, const Verdict& v) {
  char figures[96];
  std::snprintf(figures, sizeof(figures), "%.1f ms, ticket %.2f MB, beyond it %.2f MB", v.cpu_ms,
                v.ticket_mb, v.extra_mb);
  return row.path + ": expected " + row.expected + ", " +
         (v.kind == Verdict::Kind::kDecoded ? "decoded " : "refused ") + v.text + " (" + figures +
         ")";
}

void add(CorpusResult& result, const Row& row, const Verdict& verdict) {
  const bool decoded = verdict.kind == Verdict::Kind::kDecoded;
  ++(decoded ? result.decoded : result.refused);
  if (row.expected == "decode" && !decoded && verdict.unsupported) ++result.not_offered;
  const auto keep_most = [&](double value, double& most, std::string& name) {
    if (value <= most) return;
    most = value;
    name = row.path;
  };
  keep_most(verdict.cpu_ms, result.slowest_ms, result.slowest);
  keep_most(verdict.extra_mb, result.most_extra_mb, result.most_extra);
  keep_most(verdict.ticket_mb, result.most_ticket_mb, result.most_ticket);
}

}  // namespace

CorpusResult run_corpus(const CorpusOptions& options) {
  CorpusResult result;
  const ImageLimits limits{.deadline = options.deadline};
  for (const Row& row : read_rows(options.folder / "SOURCES.tsv")) {
    const Verdict verdict = decode(read_file(options.folder / row.path), limits, options.target);
    add(result, row, verdict);
    const std::string fault = judge(row, verdict, options);
    if (!fault.empty()) result.faults.push_back(fault + ": " + line(row, verdict));
    if (options.verbose) std::puts(line(row, verdict).c_str());
  }
  return result;
}

std::string report(const CorpusResult& result) {
  std::ostringstream out;
  for (const std::string& fault : result.faults) out << "FAULT " << fault << "\n";
  out << result.decoded << " decoded, " << result.refused << " refused (" << result.not_offered
      << " of a format that is not offered), " << result.faults.size() << " faults\n"
      << "slowest: " << result.slowest_ms << " ms CPU, " << result.slowest << "\n"
      << "largest ticket: " << result.most_ticket_mb << " MB, " << result.most_ticket << "\n"
      << "most beyond its ticket: " << result.most_extra_mb << " MB, " << result.most_extra << "\n";
  return out.str();
}

}  // namespace face::test
