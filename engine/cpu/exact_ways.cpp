// SPDX-License-Identifier: MIT
#include "engine/cpu/exact_ways.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace face::cpu {
namespace {

using ErrorOf = std::function<double(const Ways&)>;

constexpr int kDoublings =
    27;  // of the price, to where no gain in time is worth the smallest error

/// `ways` with those of [begin, end) of `convs` replaced by `better` ones.
Ways mixed(Ways ways, const Ways& better, const std::vector<size_t>& convs, size_t begin,
           size_t end) {
  for (size_t i = begin; i < end; ++i) ways[convs[i]] = better[convs[i]];
  return ways;
}

/// Convolutions that `better` computes more exactly.
std::vector<size_t> improvements(const Ways& ways, const Ways& better) {
  std::vector<size_t> result;
  for (size_t i = 0; i < ways.size(); ++i)
    if (ways[i]->error > better[i]->error) result.push_back(i);
  return result;
}

class Search {
 public:
  Search(const std::vector<TimedConv>& convs, size_t weight_budget, double tolerance,
         const ErrorOf& error_of)
      : convs_(convs), budget_(weight_budget), tolerance_(tolerance), error_of_(error_of) {}

  [[nodiscard]] Ways run();

 private:
  [[nodiscard]] Ways choose(double price, const ErrorWeights& weights = {}) const {
    return choose_ways(convs_, budget_, price, weights);
  }
  [[nodiscard]] bool fits(const Ways& ways) const { return weight_bytes(convs_, ways) <= budget_; }
  [[nodiscard]] double ask(const Ways& ways);
  [[nodiscard]] ErrorWeights weigh(const Ways& ways, const Ways& exact, double found);
  [[nodiscard]] Ways as_few_changes(const Ways& ways, const Ways& better,
                                    const ErrorWeights& weights, double bearable) const;

  const std::vector<TimedConv>& convs_;
  size_t budget_;
  double tolerance_;
  const ErrorOf& error_of_;
  Ways best_;  // the fastest that was asked about and exact enough; empty: none
};

double Search::ask(const Ways& ways) {
  const double error = error_of_(ways);
  if (error <= tolerance_ &&
      (best_.empty() || milliseconds(convs_, ways) < milliseconds(convs_, best_)))
    best_ = ways;
  return error;
}

/// What is missing of the squared error `found` if a group of layers is exact, shared among them.
/// Groups grow: the first layers' errors go through all others. Together that may be more than
/// there is: the network's error is its worst output's.
ErrorWeights Search::weigh(const Ways& ways, const Ways& exact, double found) {
  constexpr double kLeastShare = 0.02;  // of a group: a difference of errors nearly alike is noise
  constexpr size_t kGroups = 5;
  const std::vector<size_t> layers = improvements(ways, exact);
  const double all = found * found;
  ErrorWeights weights(ways.size(), all / squared_error(ways));
  size_t begin = 0;
  for (size_t group = 0; begin < layers.size(); ++group) {
    const size_t left = layers.size() - begin;
    const size_t size = group + 1 == kGroups ? left : std::min(left, size_t{2} << group);
    const Ways mix = mixed(ways, exact, layers, begin, begin + size);
    const double rest = fits(mix) ? std::pow(ask(mix), 2) : all;
    const double share = std::max(all - rest, kLeastShare * all);
    const double squares = squared_error(ways) - squared_error(mix);
    for (size_t i = begin; i < begin + size; ++i) weights[layers[i]] = share / squares;
    begin += size;
  }
  return weights;
}

/// The first of the changes from `ways` to `better`, as many as make the error `bearable`.
Ways Search::as_few_changes(const Ways& ways, const Ways& better, const ErrorWeights& weights,
                            double bearable) const {
  const std::vector<size_t> layers = improvements(ways, better);
  Ways mix = ways;
  for (size_t i = 0; i < layers.size() && squared_error(mix, weights) > bearable; ++i)
    mix[layers[i]] = better[layers[i]];
  return fits(mix) ? mix : better;
}

Ways Search::run() {
  constexpr double kMargin = 0.9;  // of the squared error, once the estimate has been wrong
  Ways ways = choose(0);
  if (squared_error(ways) == 0) return ways;
  const double found = ask(ways);
  if (found <= tolerance_) return ways;
  double price = 8 * least_milliseconds(convs_);
  const Ways exact = choose(std::ldexp(price, kDoublings));
  if (!std::isfinite(found)) return exact;
  const ErrorWeights weights = weigh(ways, exact, found);
  const double too_much = squared_error(ways, weights) - found * found;  // that weights say
  double bearable = tolerance_ * tolerance_;
  price /= *std::max_element(weights.begin(), weights.end());
  Ways asked;
  for (int i = 0; i < 2 * kDoublings; ++i, price *= 2) {
    Ways better = choose(price, weights);
    while (squared_error(better, weights) - too_much <= bearable) {
      const Ways mix = as_few_changes(ways, better, weights, bearable + too_much);
      if (!best_.empty() && milliseconds(convs_, best_) <= milliseconds(convs_, mix)) return best_;
      if (squared_error(mix) == 0) return mix;
      if (mix == asked) break;
      asked = mix;
      const double error = ask(mix);
      if (error <= tolerance_) return mix;
      bearable = kMargin * (bearable - error * error + tolerance_ * tolerance_);
    }
    ways = std::move(better);
  }
  return best_.empty() ? exact : best_;
}

}  // namespace

Ways exact_enough_ways(const std::vector<TimedConv>& convs, size_t weight_budget, double tolerance,
                       const ErrorOf& error_of) {
  return Search(convs, weight_budget, tolerance, error_of).run();
}

}  // namespace face::cpu
