// SPDX-License-Identifier: MIT
#include "engine/cpu/precision_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <sstream>
#include <utility>

#include "engine/cpu/precision_rule.h"

namespace face::cpu {
namespace {

constexpr int kRevision = 1;  // raised whenever pictures or the measure of errors change

/// A hash of numbers in order. Each step is a bijection of what was there before.
class Digest {
 public:
  void add(uint64_t value) {
    constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
    hash_ = std::rotl(hash_ ^ value, 29) * kOdd;
  }
  void add(int value) { add(static_cast<uint64_t>(static_cast<uint32_t>(value))); }
  void add(float value) { add(uint64_t{std::bit_cast<uint32_t>(value)}); }
  void add(std::span<const float> values) {
    add(uint64_t{values.size()});
    const size_t pairs = values.size() / 2;
    for (size_t i = 0; i < pairs; ++i) {
      uint64_t pair = 0;
      std::memcpy(&pair, &values[2 * i], sizeof(pair));
      add(pair);
    }
    if (values.size() % 2 != 0) add(values.back());
  }
  void add(const std::string& text) {
    add(uint64_t{text.size()});
    for (const char c : text) add(int{c});
  }
  [[nodiscard]] uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

uint64_t op_digest(const Op& op) {
  Digest digest;
  for (const int v :
       {static_cast<int>(op.kind), op.input, op.output, op.addend, int{op.addend_upsampled},
        op.groups, op.kernel_h, op.kernel_w, op.stride_h, op.stride_w, op.pad_top, op.pad_left,
        op.pad_bottom, op.pad_right, int{op.ceil_mode}, int{op.count_include_pad},
        static_cast<int>(op.activation), static_cast<int>(op.bias_kind)})
    digest.add(v);
  digest.add(op.clip_low);
  digest.add(op.clip_high);
  for (const std::span<const float> values : {op.weights, op.bias, op.slopes}) digest.add(values);
  return digest.value();
}

/// `ways` with the first `count` of those that differ replaced by `better` ones.
Ways mixed(Ways ways, const Ways& better, int count) {
  for (size_t i = 0; i < ways.size() && count > 0; ++i) {
    if (ways[i] != better[i]) --count;
    ways[i] = better[i];
  }
  return ways;
}

int differences(const Ways& a, const Ways& b) {
  int count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += a[i] != b[i] ? 1 : 0;
  return count;
}

/// How many have to be replaced until the squared error is `bearable`, somewhat more than that:
/// what is bearable is an estimate.
int replacements_wanted(const Ways& ways, const Ways& better, double bearable) {
  constexpr double kMargin = 0.65;
  const int all = differences(ways, better);
  int count = 1;
  while (count < all && squared_error(mixed(ways, better, count)) > kMargin * bearable) ++count;
  return count;
}

/// Looks for the fewest first layers that need `better` ways: they count most, for what they get
/// wrong goes through all that follow. The first try is an estimate, a few more halve what is left.
/// None if no mixture tried `is_good`.
std::optional<Ways> fewest_replaced(const Ways& ways, const Ways& better, double bearable,
                                    const std::function<bool(const Ways&)>& is_good) {
  constexpr int kTries = 5;
  int bad = 0, good = differences(ways, better), next = replacements_wanted(ways, better, bearable);
  std::optional<Ways> found;
  for (int i = 0; i < kTries && good - bad > 1; ++i, next = (bad + good) / 2) {
    if (next >= good) next = good - 1;
    Ways mix = mixed(ways, better, next);
    (is_good(mix) ? good : bad) = next;
    if (good == next) found = std::move(mix);
  }
  return found;
}

}  // namespace

Ways exact_enough_ways(const std::vector<TimedConv>& convs, size_t weight_budget, double tolerance,
                       const std::function<double(const Ways&)>& error_of) {
  constexpr int kDoublings = 27;  // to where no gain in time is worth the smallest error
  double price = 8 * least_milliseconds(convs), found = 0;
  const auto is_exact = [&](const Ways& ways) {
    found = squared_error(ways) > 0 ? error_of(ways) : 0;
    return found <= tolerance;
  };
  const auto is_good = [&](const Ways& ways) {
    return weight_bytes(convs, ways) <= weight_budget && is_exact(ways);
  };
  Ways ways = choose_ways(convs, weight_budget, 0);
  for (int i = 0; i < kDoublings && !is_exact(ways);) {
    const double bearable = squared_error(ways) * std::pow(tolerance / found, 2);
    Ways better;
    do {
      better = choose_ways(convs, weight_budget, price);
      price *= 2;
    } while (++i < kDoublings && squared_error(better) > bearable);
    if (i < kDoublings)
      if (std::optional<Ways> mix = fewest_replaced(ways, better, bearable, is_good)) return *mix;
    ways = std::move(better);
  }
  return ways;
}

uint64_t network_digest(const Network& network, const Parallel& parallel) {
  std::vector<uint64_t> ops(network.ops.size());
  parallel(static_cast<int>(ops.size()), [&](int i, int) { ops[i] = op_digest(network.ops[i]); });
  Digest digest;
  digest.add(network.input.tensor);
  for (const Tensor& tensor : network.tensors) digest.add(tensor.channels);
  for (const uint64_t op : ops) digest.add(op);
  for (const Output& output : network.outputs)
    for (const int v : {output.tensor, output.channel_begin, output.channel_count, output.columns,
                        int{output.sigmoid}})
      digest.add(v);
  return digest.value();
}

PrecisionCheck::PrecisionCheck(const Network& network, const Shape& input,
                               const CompileOptions& options, MakeExact make_exact)
    : network_(network),
      options_(options),
      make_exact_(std::move(make_exact)),
      digest_(network_digest(network, openmp_parallel(options.threads))),
      input_(input),
      together_(std::min(options.max_batch, 2)) {
  options_.precision = Precision::kFp32;
  options_.height = input.height;
  options_.width = input.width;
  options_.max_batch = together_;
  options_.timing_path.clear();
}

std::string PrecisionCheck::key(const Ways& ways, const std::vector<bool>& bf16_maps) const {
  Digest names;
  for (const Candidate* way : ways) names.add(way->name);
  for (size_t id = 0; id < bf16_maps.size(); ++id)
    if (bf16_maps[id]) names.add(uint64_t{id});
  std::ostringstream text;
  text << kRevision << ' ' << std::hex << digest_ << std::dec << ' ' << options_.height << 'x'
       << options_.width << ' ' << together_ << ' ' << options_.threads << ' ' << std::hex
       << names.value();
  return text.str();
}

void PrecisionCheck::compute_exact() {
  if (!exact_.empty()) return;
  pictures_ = probe_pictures(input_);
  const std::unique_ptr<Executable> executable = make_exact_(options_);
  for (size_t first = 0; first < pictures_.size(); first += together_)
    exact_.push_back(outputs_of(*executable, static_cast<int>(first)));
}

double PrecisionCheck::error_of(Executable& executable) {
  compute_exact();
  double worst = 0;
  for (size_t run = 0; run < exact_.size(); ++run)
    worst = std::max(
        worst, worst_error(outputs_of(executable, static_cast<int>(run) * together_), exact_[run]));
  return worst;
}

PrecisionCheck::Outputs PrecisionCheck::outputs_of(Executable& executable, int first) const {
  const int last = std::min(first + together_, static_cast<int>(pictures_.size()));
  std::vector<float> input;
  for (int i = first; i < last; ++i)
    input.insert(input.end(), pictures_[i].begin(), pictures_[i].end());
  executable.run(input.data(), last - first);
  Outputs result;
  for (NamedArray& array : onnx_outputs(executable, last - first))
    result.push_back(std::move(array.values));
  return result;
}

}  // namespace face::cpu
