// SPDX-License-Identifier: MIT
#include "engine/cpu/timing_file.h"

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

#include "engine/cpu/onednn_compat.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/line_file.h"

namespace face::cpu {
namespace {

constexpr std::string_view kErrorPrefix = "error ";
constexpr char kFormat[] = "face-worker layer timings 3";

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

/// NaN, which no comparison lets pass, if the fields are malformed.
double parse_error(const std::vector<std::string>& fields) {
  double error = 0;
  const bool parsed = fields.size() == 1 && parse_number(fields[0], error);
  return parsed && std::isfinite(error) ? error : std::numeric_limits<double>::quiet_NaN();
}

/// Reads back as the same number.
std::string text(double value) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr};
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

Measurements read_measurements(const std::filesystem::path& path, const std::string& machine) {
  Measurements result;
  for (const auto& [key, fields] : read_lines(path, kFormat, machine)) {
    if (key.starts_with(kErrorPrefix)) {
      const double error = parse_error(fields);
      if (error >= 0) result.errors[key.substr(kErrorPrefix.size())] = error;
    } else if (std::vector<Timing> timings = parse_fields(fields); !timings.empty()) {
      result.timings[key] = std::move(timings);
    }
  }
  return result;
}

bool write_measurements(const std::filesystem::path& path, const std::string& machine,
                        const Measurements& measurements) {
  LineTable lines;
  for (const auto& [key, candidates] : measurements.timings)
    for (const Timing& t : candidates)
      for (const std::string& field :
           {t.name, text(t.milliseconds), std::to_string(t.weight_bytes)})
        lines[key].push_back(field);
  for (const auto& [key, error] : measurements.errors)
    lines[std::string(kErrorPrefix) + key] = {text(error)};
  return write_lines(path, kFormat, machine, lines);
}

}  // namespace face::cpu
