// SPDX-License-Identifier: MIT
// engine/cpu/timing_file.h - layer timings, and errors of networks, kept between processes in a
// text file beside the weights.
//
// A file of engine/line_file.h: one line per layer problem, whose fields are name, milliseconds and
// bytes of weights of each candidate; one line "error KEY" per choice of ways of a network that was
// held against float32, whose one field is the error found.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/cpu/selection.h"

namespace face::cpu {

/// What was measured on one machine.
struct Measurements {
  std::map<std::string, std::vector<Timing>> timings;  // by problem
  std::map<std::string, double> errors;                // by PrecisionCheck::key()
};

/// What both depend on besides their keys: CPU model, instruction sets, oneDNN's version, the
/// revision of our kernels. One line.
[[nodiscard]] std::string machine_line();

/// What `path` keeps if it was measured on `machine`, else nothing. A missing file is empty, a line
/// that does not parse is left out. Numbers are exactly those that were written.
[[nodiscard]] Measurements read_measurements(const std::filesystem::path& path,
                                             const std::string& machine);

/// False if the folder cannot be written.
bool write_measurements(const std::filesystem::path& path, const std::string& machine,
                        const Measurements& measurements);

}  // namespace face::cpu
