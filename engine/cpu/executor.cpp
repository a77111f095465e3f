// SPDX-License-Identifier: MIT
#include "engine/cpu/executor.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "engine/cpu/arena.h"
#include "engine/cpu/choice.h"
#include "engine/cpu/fusion.h"
#include "engine/cpu/map_storage.h"
#include "engine/cpu/precision_check.h"
#include "engine/cpu/precision_rule.h"
#include "engine/error.h"
#include "kernels/cpu/conv_memory.h"
#include "kernels/cpu/interleave.h"

namespace face::cpu {
namespace {

constexpr int kTimedBatch = 2;  // batches of this size decide; a larger one behaves alike

size_t count(const Shape& s) { return size_t(s.channels) * s.height * s.width; }

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorKind::kInvalidArgument, "compile: " + reason);
}

Network graph_of(const Network& network, const CompileOptions& options) {
  const Shape in = input_shape_of(network, options);
  return fuse(network, infer_shapes(network, in.height, in.width));
}

[[noreturn]] void refuse_op(const Op& op) {
  throw Error(ErrorKind::kDevice, "op '" + op.name + "': nothing on this CPU computes it");
}

/// How a convolution is computed: a layer is made for it.
struct Method {
  std::string way;  // the candidate's name
  bool bf16_input = false, bf16_addend = false, bf16_output = false;
  friend bool operator==(const Method&, const Method&) = default;
};

/// One op, its layer and what it counts.
struct Step {
  const Op* op = nullptr;
  std::unique_ptr<Layer> layer;
  double gflop = 0;  // per image
  Method method;     // of convolutions
};

/// A convolution that is to be computed otherwise.
struct Change {
  Step* step = nullptr;
  const Candidate* way = nullptr;
  Method method;
};

class Executor final : public Executable {
 public:
  Executor(const Network& network, const ExecutorOptions& options);

  [[nodiscard]] const Network& network() const override { return network_; }
  [[nodiscard]] Shape input_shape() const override { return input_; }
  [[nodiscard]] int max_batch() const override { return max_batch_; }
  [[nodiscard]] Precision precision() const override { return precision_; }
  [[nodiscard]] size_t activation_bytes() const override;
  [[nodiscard]] size_t weight_bytes() const override;
  void run(const float* input, int batch) override;
  [[nodiscard]] std::span<const float> output(TensorId tensor) const override;
  std::vector<LayerProfile> profile(const float* input, int batch) override;

 private:
  void allocate(const ExecutorOptions& options);
  void prepare(const ExecutorOptions& options);
  [[nodiscard]] std::vector<TimedConv> time_convs(const ExecutorOptions& options);
  void make_steps(const Ways& ways);
  void make_conv_layers(const std::vector<Change>& changes) const;
  [[nodiscard]] Ways held_to_fp32(const std::vector<TimedConv>& convs, size_t weight_budget,
                                  const ExecutorOptions& options);
  [[nodiscard]] double error_of(const Ways& ways, PrecisionCheck& check);
  void place_scratch();
  [[nodiscard]] std::vector<bool> stored_as_bf16(const Ways& ways) const {
    return bf16_maps(graph_, shapes_, pass_, ways, bf16_addends_);
  }
  [[nodiscard]] bool adds_bf16(const Op& op) const {
    return op.addend != kNoTensor && bf16_[op.addend];
  }
  [[nodiscard]] ConvProblem problem(const Op& op) const;
  [[nodiscard]] LayerShapes shapes_of(const Op& op) const;
  [[nodiscard]] std::vector<Candidate> candidates(const Op& op,
                                                  const ExecutorOptions& options) const;
  [[nodiscard]] std::vector<Timing> time_op(const Op& op, const std::vector<Candidate>& candidates);
  [[nodiscard]] float* place(TensorId id, int image) const;
  [[nodiscard]] const float* source(TensorId id, int image) const;
  void check_batch(int batch) const;
  void take_input(const float* input, int first, int images);
  void load_input(const float* input, int first, int images);
  void run_step(size_t step, int first, int images) const;

  const Network& network_;
  Network graph_;  // what runs
  Shape input_;
  int max_batch_;
  Precision precision_;
  PixelLayout layout_;
  Parallel parallel_;
  std::vector<Shape> shapes_;
  std::vector<bool> bf16_;    // tensors that are stored so: map_storage.h
  bool bf16_addends_ = true;  // may be
  ArenaPlan plan_;
  std::vector<bool> leaving_;
  PrecisionRule rule_;
  int pass_ = 1;  // images that go through the arena together
  AlignedFloats arena_;
  std::vector<AlignedFloats> outputs_;  // by TensorId, of those that leave the network
  const float* borrowed_ = nullptr;     // the caller's input, if it needs no other layout
  size_t output_floats_ = 0;
  std::vector<Step> steps_;
};

Executor::Executor(const Network& network, const ExecutorOptions& options)
    : network_(network),
      graph_(graph_of(network, options.compile)),
      input_(input_shape_of(network, options.compile)),
      max_batch_(options.compile.max_batch),
      precision_(resolve_precision(options.compile.precision)),
      layout_(options.compile.layout),
      parallel_(openmp_parallel(team_size(options.compile))),
      shapes_(infer_shapes(graph_, input_.height, input_.width)),
      bf16_(shapes_.size()),
      plan_(plan_arena(graph_, tensor_floats(shapes_, bf16_))),
      leaving_(leaving_tensors(graph_)),
      rule_(graph_, shapes_, precision_, options.tiles) {
  if (max_batch_ < 1) refuse("max_batch " + std::to_string(max_batch_));
  allocate(options);
  prepare(options);
  ::malloc_trim(0);  // what trying the candidates took
}

void Executor::allocate(const ExecutorOptions& options) {
  const size_t image_bytes = std::max<size_t>(plan_.floats, 1) * sizeof(float);
  pass_ = static_cast<int>(
      std::clamp<size_t>(options.arena_budget / image_bytes, 1, static_cast<size_t>(max_batch_)));
  arena_ = aligned_zeros(plan_.floats * pass_);
  outputs_.resize(graph_.tensors.size());
  for (size_t id = 0; id < outputs_.size(); ++id) {
    if (!leaving_[id]) continue;
    const size_t floats = round_to_line(count(shapes_[id]) * max_batch_);
    outputs_[id] = aligned_zeros(floats);
    output_floats_ += floats;
  }
}

void Executor::prepare(const ExecutorOptions& options) {
  const std::vector<TimedConv> convs = time_convs(options);
  size_t weight_floats = 0;
  for (const TimedConv& conv : convs) weight_floats += conv.op->weights.size();
  const auto share = static_cast<size_t>(options.weight_share * weight_floats * sizeof(float));
  const size_t budget = std::max(share, options.weight_floor);
  make_steps(precision_ == Precision::kBf16 ? held_to_fp32(convs, budget, options)
                                            : choose_ways(convs, budget, 0));
  place_scratch();
  const std::string& timing_path = options.compile.timing_path;
  if (!timing_path.empty()) Tuner::shared().save(timing_path);
}

/// Errors that are known need neither layers nor runs.
double Executor::error_of(const Ways& ways, PrecisionCheck& check) {
  const std::string key = check.key(ways, stored_as_bf16(ways));
  if (const std::optional<double> known = Tuner::shared().error(key)) return *known;
  check.compute_exact();
  make_steps(ways);
  place_scratch();
  const double error = check.error_of(*this);
  Tuner::shared().keep_error(key, error);
  return error;
}

/// Addends of bfloat16 are the first to go: what they gain is not timed.
Ways Executor::held_to_fp32(const std::vector<TimedConv>& convs, size_t weight_budget,
                            const ExecutorOptions& options) {
  ExecutorOptions exact;
  exact.untimed = true;
  exact.compile = options.compile;
  exact.compile.threads = parallel_.threads;
  exact.compile.layout = PixelLayout::kNchw;
  layout_ = PixelLayout::kNchw;  // of the check's pictures
  PrecisionCheck check(network_, input_, exact.compile, [&](const CompileOptions& compile) {
    exact.compile = compile;
    return make_executor(network_, exact);
  });
  const double most = options.bf16_error;
  Ways result = exact_enough_ways(convs, weight_budget, most, [&](const Ways& ways) {
    const double error = error_of(ways, check);
    if (error <= most || !std::exchange(bf16_addends_, false)) return error;
    return error_of(ways, check);
  });
  layout_ = options.compile.layout;
  return result;
}

/// Now that it is known what the layers need: among the tensors, where none is alive.
void Executor::place_scratch() {
  std::vector<OpMemory> memory;
  for (const Step& step : steps_) {
    const size_t bytes = step.layer->scratch_bytes(parallel_.threads);
    const size_t floats = bytes / sizeof(float) / pass_ + 1;  // per image, as all of the arena
    memory.push_back({floats, step.layer->reads_input_first()});
  }
  plan_ = plan_arena(graph_, tensor_floats(shapes_, bf16_), memory);
  arena_.reset();
  arena_ = aligned_zeros(plan_.floats * pass_);
}

std::vector<TimedConv> Executor::time_convs(const ExecutorOptions& options) {
  std::vector<TimedConv> convs;
  const std::string& timing_path = options.compile.timing_path;
  if (!timing_path.empty()) Tuner::shared().load(timing_path);
  for (const Op& op : graph_.ops) {
    if (!is_conv(op)) continue;
    std::vector<Candidate> ways = candidates(op, options);
    std::vector<Timing> timings = time_op(op, ways);
    convs.push_back({&op, std::move(ways), std::move(timings)});
  }
  return convs;
}

/// Layers that are computed as before stay.
void Executor::make_steps(const Ways& ways) {
  bf16_ = stored_as_bf16(ways);
  std::vector<Change> changes;
  steps_.resize(graph_.ops.size());
  size_t conv = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Op& op = graph_.ops[i];
    Step& step = steps_[i];
    step.op = &op;
    step.gflop = 2e-9 * static_cast<double>(mac_count(op, shapes_));
    if (is_conv(op)) {
      const Candidate* way = ways[conv++];
      const Method method{way->name, bf16_[op.input], adds_bf16(op), bf16_[op.output]};
      if (step.method != method) changes.push_back({&step, way, method});
    } else if (step.layer == nullptr) {
      step.layer = make_plain_layer(op, shapes_of(op));
    }
  }
  make_conv_layers(changes);
}

void Executor::make_conv_layers(const std::vector<Change>& changes) const {
  for (const Change& change : changes) change.step->layer.reset();
  auto layers = make_layers(
      changes.size(),
      [&](size_t i) {
        const Op& op = *changes[i].step->op;
        auto layer = changes[i].way->make(problem(op));
        if (layer == nullptr) refuse_op(op);
        return layer;
      },
      parallel_);
  for (size_t i = 0; i < changes.size(); ++i) {
    changes[i].step->layer = std::move(layers[i]);
    changes[i].step->method = changes[i].method;
  }
}

LayerShapes Executor::shapes_of(const Op& op) const {
  return {shapes_[op.input], shapes_[op.output], pass_};
}

ConvProblem Executor::problem(const Op& op) const {
  ConvProblem p = conv_problem(op, shapes_of(op));
  p.desc.bf16_input = bf16_[op.input];
  p.desc.bf16_addend = adds_bf16(op);
  p.desc.bf16_output = bf16_[op.output];
  return p;
}

std::vector<Candidate> Executor::candidates(const Op& op, const ExecutorOptions& options) const {
  std::vector<Candidate> all =
      conv_candidates(problem(op), rule_.precision_of(op), parallel_.threads, options.tiles);
  std::erase_if(all, [&](const Candidate& c) { return c.error > rule_.most_error(op); });
  if (options.untimed) return {first_able(std::move(all))};
  if (options.accept)
    std::erase_if(all, [&](const Candidate& c) { return !options.accept(op, c.name); });
  return all;
}

std::vector<Timing> Executor::time_op(const Op& op, const std::vector<Candidate>& candidates) {
  const auto at = [&](TensorId id) { return id == kNoTensor ? nullptr : place(id, 0); };
  const LayerMemory memory{at(op.input), at(op.addend), at(op.output)};
  std::vector<Timing> timings =
      Tuner::shared().time(problem(op), rule_.precision_of(op), candidates, memory,
                           std::min(pass_, kTimedBatch), parallel_);
  if (timings.empty()) refuse_op(op);
  return timings;
}

// ---- running

float* Executor::place(TensorId id, int image) const {
  if (outputs_[id] != nullptr) return outputs_[id].get() + image * count(shapes_[id]);
  return arena_.get() + plan_.offset[id] * pass_;
}

/// Where an op reads a tensor.
const float* Executor::source(TensorId id, int image) const {
  const bool borrowed = id == graph_.input.tensor && borrowed_ != nullptr;
  return borrowed ? borrowed_ : place(id, image);
}

size_t Executor::activation_bytes() const {
  return (plan_.floats * pass_ + output_floats_) * sizeof(float);
}

size_t Executor::weight_bytes() const {
  size_t bytes = 0;
  for (const Step& step : steps_) bytes += step.layer->weight_bytes();
  return bytes;
}

void Executor::check_batch(int batch) const {
  if (batch < 1 || batch > max_batch_)
    throw Error(ErrorKind::kInvalidArgument,
                "batch of " + std::to_string(batch) + ", want 1 to " + std::to_string(max_batch_));
}

/// (3, H, W) to (H, W, 3).
void Executor::load_input(const float* input, int first, int images) {
  const int height = input_.height, width = input_.width;
  const size_t plane = size_t(height) * width;
  float* to = place(graph_.input.tensor, first);
  parallel_(images * height, [&](int task, int) {
    const size_t image = task / height, begin = size_t(task % height) * width;
    const float* row = input + (first + image) * 3 * plane + begin;
    interleave(row, row + plane, row + 2 * plane, width, to + 3 * (image * plane + begin));
  });
}

void Executor::take_input(const float* input, int first, int images) {
  borrowed_ = layout_ == PixelLayout::kNhwc ? input + first * count(input_) : nullptr;
  if (borrowed_ == nullptr) load_input(input, first, images);
}

void Executor::run_step(size_t step, int first, int images) const {
  const Op& op = *steps_[step].op;
  const float* addend = op.addend == kNoTensor ? nullptr : source(op.addend, first);
  float* scratch = arena_.get() + plan_.scratch_offset[step] * pass_;
  steps_[step].layer->run(source(op.input, first), addend, place(op.output, first), images, scratch,
                          parallel_);
}

void Executor::run(const float* input, int batch) {
  check_batch(batch);
  for (int first = 0; first < batch; first += pass_) {
    const int images = std::min(pass_, batch - first);
    take_input(input, first, images);
    for (size_t i = 0; i < steps_.size(); ++i) run_step(i, first, images);
  }
}

std::span<const float> Executor::output(TensorId tensor) const {
  if (tensor < 0 || static_cast<size_t>(tensor) >= outputs_.size() || outputs_[tensor] == nullptr)
    throw Error(ErrorKind::kInvalidArgument,
                "tensor " + std::to_string(tensor) + " is no output of the network");
  return {outputs_[tensor].get(), count(shapes_[tensor]) * max_batch_};
}

std::vector<LayerProfile> Executor::profile(const float* input, int batch) {
  using Clock = std::chrono::steady_clock;
  check_batch(batch);
  std::vector<LayerProfile> rows{{"input", "plain", 0, 0}};
  for (const Step& step : steps_)
    rows.push_back({step.op->name, step.layer->name(), 0, step.gflop * batch});
  for (int first = 0; first < batch; first += pass_) {
    const int images = std::min(pass_, batch - first);
    Clock::time_point before = Clock::now();
    const auto lap = [&](LayerProfile& row) {
      const Clock::time_point now = Clock::now();
      row.milliseconds += std::chrono::duration<double, std::milli>(now - before).count();
      before = now;
    };
    take_input(input, first, images);
    lap(rows[0]);
    for (size_t i = 0; i < steps_.size(); ++i) {
      run_step(i, first, images);
      lap(rows[i + 1]);
    }
  }
  return rows;
}

}  // namespace

std::unique_ptr<Executable> make_executor(const Network& network, const ExecutorOptions& options) {
  return std::make_unique<Executor>(network, options);
}

}  // namespace face::cpu
