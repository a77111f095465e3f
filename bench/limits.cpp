// SPDX-License-Identifier: MIT
// bench/limits.cpp - measures the limits once, and derives the counters.
#include "bench/limits.h"

#include <algorithm>
#include <map>
#include <string>

#include "bench/fma_peak.h"
#include "bench/memory_bandwidth.h"

namespace face::bench {

using benchmark::Counter;

const Limits& limits_of(int threads) {
  static std::map<int, Limits> known;
  const auto [place, is_new] = known.try_emplace(threads);
  if (is_new) place->second = {fma_peak_gflops(threads), memory_bandwidth_gbs(threads)};
  return place->second;
}

void report(benchmark::State& state, const Work& work, int threads) {
  const Limits& limits = limits_of(threads);
  const double limit_s = std::max(work.flop / limits.gflops / 1e9, work.bytes / limits.gbs / 1e9);
  state.counters["FLOP"] = Counter(work.flop);
  state.counters["bytes"] = Counter(work.bytes);
  if (work.flop > 0)
    state.counters["GFLOP/s"] = Counter(work.flop / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(work.bytes / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["of_limit"] = Counter(limit_s, Counter::kIsIterationInvariantRate);
}

void add_limits_to_context() {
  for (const int threads : {1, 2}) {
    const Limits& limits = limits_of(threads);
    const std::string on = ", threads: " + std::to_string(threads);
    benchmark::AddCustomContext("FMA peak, GFLOP/s" + on, std::to_string(limits.gflops));
    benchmark::AddCustomContext("memory, GB/s" + on, std::to_string(limits.gbs));
  }
}

}  // namespace face::bench
