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
      : convs_(convs),
        budget_(weight_budget),
        tolerance_(tolerance),
        error_of_(error_of),
        exact_(choose(std::ldexp(8 * least_milliseconds(convs), kDoublings))) {}

  [[nodiscard]] Ways run();

 private:
  [[nodiscard]] Ways choose(double price, const ErrorWeights& weights = {}) const {
    return choose_ways(convs_, budget_, price, weights);
  }
  [[nodiscard]] bool fits(const Ways& ways) const { return weight_bytes(convs_, ways) <= budget_; }
  [[nodiscard]] double ask(const Ways& ways);
  [[nodiscard]] ErrorWeights weigh(const Ways& ways, double found);
  [[nodiscard]] Ways cheapest(const ErrorWeights& weights, double bearable) const;
  [[nodiscard]] Ways weighed(const ErrorWeights& weights, double too_much);

  const std::vector<TimedConv>& convs_;
  size_t budget_;
  double tolerance_;
  const ErrorOf& error_of_;
  Ways exact_;
  Ways best_;  // the fastest that was asked about and exact enough; empty: none
};

/// The error of `ways`; float32 has none.
double Search::ask(const Ways& ways) {
  const double error = squared_error(ways) > 0 ? error_of_(ways) : 0;
  if (error <= tolerance_ &&
      (best_.empty() || milliseconds(convs_, ways) < milliseconds(convs_, best_)))
    best_ = ways;
  return error;
}

/// What is missing of the squared error `found` if a group of layers is exact, shared among them.
/// Groups grow: the first layers' errors go through all others. Together that may be more than
/// there is: the network's error is its worst output's.
ErrorWeights Search::weigh(const Ways& ways, double found) {
  constexpr double kLeastShare = 0.02;  // of a group: a difference of errors nearly alike is noise
  constexpr size_t kGroups = 5;
  const std::vector<size_t> layers = improvements(ways, exact_);
  const double all = found * found;
  ErrorWeights weights(ways.size(), all / squared_error(ways));
  size_t begin = 0;
  for (size_t group = 0; begin < layers.size(); ++group) {
    const size_t left = layers.size() - begin;
    const size_t size = group + 1 == kGroups ? left : std::min(left, size_t{2} << group);
    const Ways mix = mixed(ways, exact_, layers, begin, begin + size);
    const double rest = fits(mix) ? std::pow(ask(mix), 2) : all;
    const double share = std::max(all - rest, kLeastShare * all);
    const double squares = squared_error(ways) - squared_error(mix);
    for (size_t i = begin; i < begin + size; ++i) weights[layers[i]] = share / squares;
    begin += size;
  }
  return weights;
}

/// The cheapest ways whose squared error, by these weights, is `bearable`: the price of errors
/// rises until that is so, and of what it changes last as few layers change as make it so, the
/// first ones.
Ways Search::cheapest(const ErrorWeights& weights, double bearable) const {
  double price = 8 * least_milliseconds(convs_) / *std::max_element(weights.begin(), weights.end());
  Ways ways = choose(0), better = choose(price, weights);
  for (int i = 0; i < 2 * kDoublings && squared_error(better, weights) > bearable; ++i) {
    ways = std::move(better);
    better = choose(price *= 2, weights);
  }
  Ways mix = ways;
  for (const size_t layer : improvements(ways, better)) {
    if (squared_error(mix, weights) <= bearable) break;
    mix[layer] = better[layer];
  }
  return fits(mix) ? mix : better;
}

/// By weights; what they say of the fastest ways together is more than they have by `too_much`.
Ways Search::weighed(const ErrorWeights& weights, double too_much) {
  constexpr int kQuestions = 6;
  constexpr double kMargin = 0.9;  // of the squared error, once the estimate has been wrong
  const double tolerance = tolerance_ * tolerance_;
  double bearable = tolerance;
  for (int i = 0; i < kQuestions; ++i) {
    const Ways ways = cheapest(weights, bearable + too_much);
    if (!best_.empty() && milliseconds(convs_, best_) <= milliseconds(convs_, ways)) break;
    const double error = ask(ways);
    if (error <= tolerance_) break;
    bearable = kMargin * (bearable - error * error + tolerance);
  }
  return best_.empty() ? exact_ : best_;
}

Ways Search::run() {
  constexpr double kAlikeMargin = 0.65;   // of the squared error, as long as layers count alike
  constexpr double kHardlySlower = 1.15;  // than the fastest ways: weighing gains little
  Ways fastest = choose(0);
  const double found = ask(fastest);
  if (found <= tolerance_) return fastest;
  if (!std::isfinite(found)) return exact_;
  const double all = found * found;
  const ErrorWeights alike(convs_.size(), all / squared_error(fastest));
  Ways first = cheapest(alike, kAlikeMargin * tolerance_ * tolerance_);
  const bool hardly_slower =
      milliseconds(convs_, first) <= kHardlySlower * milliseconds(convs_, fastest);
  if (ask(first) <= tolerance_ && hardly_slower) return first;
  const ErrorWeights weights = weigh(fastest, found);
  return weighed(weights, squared_error(fastest, weights) - all);
}

}  // namespace

Ways exact_enough_ways(const std::vector<TimedConv>& convs, size_t weight_budget, double tolerance,
                       const ErrorOf& error_of) {
  return Search(convs, weight_budget, tolerance, error_of).run();
}

}  // namespace face::cpu
