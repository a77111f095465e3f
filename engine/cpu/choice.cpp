// SPDX-License-Identifier: MIT
#include "engine/cpu/choice.h"

#include <algorithm>
#include <limits>

namespace face::cpu {
namespace {

const Candidate& way_named(const TimedConv& conv, const std::string& name) {
  return *std::find_if(conv.ways.begin(), conv.ways.end(),
                       [&](const Candidate& c) { return c.name == name; });
}

const Timing& timing_of(const TimedConv& conv, const Candidate& way) {
  return *std::find_if(conv.timings.begin(), conv.timings.end(),
                       [&](const Timing& t) { return t.name == way.name; });
}

std::vector<Timing> priced(const TimedConv& conv, double error_price) {
  std::vector<Timing> result = conv.timings;
  for (Timing& t : result) {
    const double error = way_named(conv, t.name).error;
    t.milliseconds += error_price * error * error;
  }
  return result;
}

}  // namespace

std::vector<const Candidate*> choose_ways(const std::vector<TimedConv>& convs, size_t weight_budget,
                                          double error_price, const ErrorWeights& weights) {
  std::vector<std::vector<Timing>> timings;
  timings.reserve(convs.size());
  for (size_t i = 0; i < convs.size(); ++i)
    timings.push_back(priced(convs[i], error_price * (weights.empty() ? 1 : weights[i])));
  const std::vector<size_t> chosen = choose(timings, weight_budget);
  std::vector<const Candidate*> result;
  result.reserve(convs.size());
  for (size_t i = 0; i < convs.size(); ++i)
    result.push_back(&way_named(convs[i], timings[i][chosen[i]].name));
  return result;
}

double squared_error(const std::vector<const Candidate*>& ways, const ErrorWeights& weights) {
  double sum = 0;
  for (size_t i = 0; i < ways.size(); ++i)
    sum += (weights.empty() ? 1 : weights[i]) * ways[i]->error * ways[i]->error;
  return sum;
}

size_t weight_bytes(const std::vector<TimedConv>& convs,
                    const std::vector<const Candidate*>& ways) {
  size_t bytes = 0;
  for (size_t i = 0; i < convs.size(); ++i) bytes += timing_of(convs[i], *ways[i]).weight_bytes;
  return bytes;
}

double milliseconds(const std::vector<TimedConv>& convs,
                    const std::vector<const Candidate*>& ways) {
  double sum = 0;
  for (size_t i = 0; i < convs.size(); ++i) sum += timing_of(convs[i], *ways[i]).milliseconds;
  return sum;
}

double least_milliseconds(const std::vector<TimedConv>& convs) {
  double sum = 0;
  for (const TimedConv& conv : convs) {
    double best = std::numeric_limits<double>::infinity();
    for (const Timing& t : conv.timings) best = std::min(best, t.milliseconds);
    sum += best;
  }
  return sum;
}

}  // namespace face::cpu
