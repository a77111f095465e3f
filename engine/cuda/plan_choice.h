// SPDX-License-Identifier: MIT
// engine/cuda/plan_choice.h - which convolutions cuDNN computes: the rule, and a file that keeps
// what was chosen so that the next start need not measure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/cuda/device_network.h"

namespace face::cuda {

/// A plan of cuDNN that was timed.
struct PlanTime {
  std::string name;
  double milliseconds = 0;
};

/// Indices of the plans that beat our kernel by more than 3%, the fastest first.
[[nodiscard]] std::vector<size_t> plans_worth_taking(double own_ms,
                                                     const std::vector<PlanTime>& plans);

/// What was chosen for a problem; an empty plan is our own kernel.
struct PlanChoice {
  std::string plan;
  double own_ms = 0, plan_ms = 0;
};
using PlanTable = std::map<std::string, PlanChoice>;  // by cudnn::Problem::key()

/// What choices depend on besides the problem: GPU name, compute capability, multiprocessors,
/// driver, runtime, cuDNN's version, the revision of our kernels. One line.
[[nodiscard]] std::string plan_machine(const Device& device, const std::string& cudnn_version);

/// As read_lines() and write_lines(): another machine, format or a damaged line is left out.
[[nodiscard]] PlanTable read_plans(const std::string& path, const std::string& machine);
bool write_plans(const std::string& path, const std::string& machine, const PlanTable& table);

}  // namespace face::cuda
