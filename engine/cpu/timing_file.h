// SPDX-License-Identifier: MIT
// engine/cpu/timing_file.h - layer timings kept between processes, in a text file beside the
// weights.
//
// A file of engine/line_file.h: one line per layer problem, whose fields are name, milliseconds and
// bytes of weights of each candidate.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/cpu/selection.h"

namespace face::cpu {

using TimingTable = std::map<std::string, std::vector<Timing>>;

/// What timings depend on besides the problem: CPU model, instruction sets, oneDNN's version, the
/// revision of our kernels. One line.
[[nodiscard]] std::string machine_line();

/// The timings in `path` if they were measured on `machine`, else none. A missing file is empty,
/// a line that does not parse is left out.
[[nodiscard]] TimingTable read_timings(const std::filesystem::path& path,
                                       const std::string& machine);

/// False if the folder cannot be written.
bool write_timings(const std::filesystem::path& path, const std::string& machine,
                   const TimingTable& timings);

}  // namespace face::cpu
