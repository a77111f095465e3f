// SPDX-License-Identifier: MIT
#include "engine/cuda/plan_choice.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "engine/line_file.h"

namespace face::cuda {
namespace {

constexpr char kFormat[] = "face-worker cuDNN plans 1";
constexpr char kOwn[] = "own";
constexpr double kWorth = 0.97;

std::string text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

std::vector<size_t> plans_worth_taking(double own_ms, const std::vector<PlanTime>& plans) {
  std::vector<size_t> order;
  for (size_t i = 0; i < plans.size(); ++i)
    if (plans[i].milliseconds < kWorth * own_ms) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return plans[a].milliseconds < plans[b].milliseconds;
  });
  return order;
}

std::string plan_machine(const Device& device, const std::string& cudnn_version) {
  std::ostringstream line;
  line << device.name << "; sm_" << device.major << device.minor << "; " << device.multiprocessors
       << " multiprocessors; driver " << device.driver << "; runtime " << device.runtime
       << "; cuDNN " << cudnn_version << "; kernels " << kConvRevision;
  return line.str();
}

PlanTable read_plans(const std::string& path, const std::string& machine) {
  PlanTable table;
  for (const auto& [key, fields] : read_lines(path, kFormat, machine)) {
    PlanChoice choice;
    if (fields.size() != 3 || !parse_number(fields[1], choice.own_ms) ||
        !parse_number(fields[2], choice.plan_ms))
      continue;
    if (fields[0] != kOwn) choice.plan = fields[0];
    table[key] = choice;
  }
  return table;
}

bool write_plans(const std::string& path, const std::string& machine, const PlanTable& table) {
  LineTable lines;
  for (const auto& [key, choice] : table)
    lines[key] = {choice.plan.empty() ? kOwn : choice.plan, text(choice.own_ms),
                  text(choice.plan_ms)};
  return write_lines(path, kFormat, machine, lines);
}

}  // namespace face::cuda
