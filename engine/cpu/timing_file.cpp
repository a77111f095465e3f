// SPDX-License-Identifier: MIT
#include "engine/cpu/timing_file.h"

#include <unistd.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <system_error>

#include "engine/cpu/onednn_compat.h"
#include "engine/cpu/onednn_conv.h"

namespace face::cpu {
namespace {

constexpr char kFormat[] = "face-worker layer timings 1";

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

template <typename Number>
bool parse(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

/// Key and timings of one line; no timings if it is malformed.
std::vector<Timing> parse_line(const std::string& line, std::string& key) {
  const std::vector<std::string> fields = split(line);
  if (fields.size() < 4 || (fields.size() - 1) % 3 != 0) return {};
  key = fields[0];
  std::vector<Timing> timings;
  for (size_t i = 1; i < fields.size(); i += 3) {
    Timing timing{fields[i], 0, 0};
    if (!parse(fields[i + 1], timing.milliseconds) || !parse(fields[i + 2], timing.weight_bytes))
      return {};
    if (!(std::isfinite(timing.milliseconds) && timing.milliseconds > 0)) return {};
    timings.push_back(std::move(timing));
  }
  return timings;
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace

std::string machine_line() {
  std::ostringstream line;
  line << cpu_model() << "; " << to_string(best_conv_isa()) << "; oneDNN " << onednn::version()
       << ' ' << onednn_isa() << "; kernels " << kConvRevision;
  return line.str();
}

TimingTable read_timings(const std::filesystem::path& path, const std::string& machine) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kFormat) return {};
  if (!std::getline(file, line) || line != machine) return {};
  TimingTable table;
  while (std::getline(file, line)) {
    std::string key;
    std::vector<Timing> timings = parse_line(line, key);
    if (!timings.empty()) table[key] = std::move(timings);
  }
  return table;
}

bool write_timings(const std::filesystem::path& path, const std::string& machine,
                   const TimingTable& timings) {
  std::filesystem::path temporary = path;
  temporary += ".tmp" + std::to_string(::getpid());
  std::ofstream file(temporary);
  file << kFormat << '\n' << machine << '\n';
  for (const auto& [key, candidates] : timings) {
    file << key;
    for (const Timing& t : candidates)
      file << '\t' << t.name << '\t' << t.milliseconds << '\t' << t.weight_bytes;
    file << '\n';
  }
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (file && !error) return true;
  std::filesystem::remove(temporary, error);
  return false;
}

}  // namespace face::cpu
