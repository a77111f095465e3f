// SPDX-License-Identifier: MIT
#include "engine/cpu/precision_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
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

}  // namespace

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
