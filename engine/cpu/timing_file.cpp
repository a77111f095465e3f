// SPDX-License-Identifier: MIT
#include "engine/cpu/timing_file.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include "engine/cpu/onednn_compat.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/line_file.h"

namespace face::cpu {
namespace {

constexpr char kFormat[] = "face-worker layer timings 2";

/// Timings of one line's fields; none if they are malformed.
std::vector<Timing> parse_fields(const std::vector<std::string>& fields) {
  if (fields.size() % 3 != 0) return {};
  std::vector<Timing> timings;
  for (size_t i = 0; i < fields.size(); i += 3) {
    Timing timing{fields[i], 0, 0};
    if (!parse_number(fields[i + 1], timing.milliseconds) ||
        !parse_number(fields[i + 2], timing.weight_bytes))
      return {};
    if (!(std::isfinite(timing.milliseconds) && timing.milliseconds > 0)) return {};
    timings.push_back(std::move(timing));
  }
  return timings;
}

std::string text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
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
  TimingTable table;
  for (const auto& [key, fields] : read_lines(path, kFormat, machine))
    if (std::vector<Timing> timings = parse_fields(fields); !timings.empty())
      table[key] = std::move(timings);
  return table;
}

bool write_timings(const std::filesystem::path& path, const std::string& machine,
                   const TimingTable& timings) {
  LineTable lines;
  for (const auto& [key, candidates] : timings)
    for (const Timing& t : candidates)
      for (const std::string& field :
           {t.name, text(t.milliseconds), std::to_string(t.weight_bytes)})
        lines[key].push_back(field);
  return write_lines(path, kFormat, machine, lines);
}

}  // namespace face::cpu
