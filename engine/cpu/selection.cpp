// SPDX-License-Identifier: MIT
#include "engine/cpu/selection.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <mutex>
#include <sstream>

#include "engine/cpu/timing_file.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

constexpr size_t kWarmBytes = size_t{256} << 10;  // weights that stay in a core's cache
// Of weights per multiplication: their reading takes no more than a twentieth of the fastest run.
constexpr double kWarmShare = 0.002;
constexpr size_t kEvictBytes = size_t{48} << 20;  // more than a last-level cache
constexpr int kHeatRounds = 2;
constexpr double kHeatMacs = 4e7;  // multiplications of a heat per thread: about a millisecond
constexpr double kHopeless = 1.4;  // times the best of the heat: not in the final
constexpr int kFinalRounds = 3, kLongFinalRounds = 2, kShortFinalRounds = 16;
constexpr double kLongMilliseconds = 4;   // of a run that little disturbs
constexpr double kFinalMilliseconds = 6;  // that short runs of a layer may take together
constexpr double kTie = 1.03;
constexpr int kDeepSum = 500;  // products per output, beside which bias and activation are nothing

/// Equal for problems that differ in what follows a deep sum.
void add_problem(const ConvProblem& p, std::ostream& key) {
  const ConvDesc& d = p.desc;
  const bool deep = d.in_channels / d.groups * d.kernel_h * d.kernel_w >= kDeepSum;
  for (const int v :
       {d.in_channels, d.in_height, d.in_width, d.out_channels, d.out_height, d.out_width, d.groups,
        d.kernel_h, d.kernel_w, d.stride, p.stride_w, d.pad_top, d.pad_left,
        int(d.border_bias && !deep), int(d.has_addend && !deep), int(d.addend_upsampled),
        int(d.max_pool), deep ? 0 : int(d.activation), int(p.sigmoid)})
    key << v << ' ';
}

/// Problems with the same key are timed once.
std::string key_of(const ConvProblem& p, Precision precision,
                   const std::vector<Candidate>& candidates, int batch, int threads) {
  std::ostringstream key;
  add_problem(p, key);
  if (p.depthwise != nullptr) add_problem(*p.depthwise, key);
  key << int(precision) << ' ' << batch << ' ' << threads << ' ';
  for (const Candidate& candidate : candidates) key << candidate.name << ' ';
  return key.str();
}

size_t floats(int batch, int channels, int height, int width) {
  return size_t(batch) * channels * height * width;
}

/// Of a clock whose differences count. A team of one waits for nobody: its own CPU time leaves out
/// what other work on the machine took from it.
double clock_ms(const Parallel& parallel) {
  timespec t{};
  clock_gettime(parallel.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
}

double run_ms(const Layer& layer, const LayerMemory& m, int batch, void* scratch,
              const Parallel& parallel) {
  const double begin = clock_ms(parallel);
  layer.run(m.input, m.addend, m.output, batch, scratch, parallel);
  return clock_ms(parallel) - begin;
}

/// Numbers of a usual size, so that no candidate meets denormals another one did not.
void fill_input(const ConvProblem& p, const LayerMemory& m, int batch) {
  const ConvDesc& d = p.first();
  std::fill_n(m.input, floats(batch, d.in_channels, d.in_height, d.in_width), 0.5f);
}
void fill_addend(const ConvProblem& p, const LayerMemory& m, int batch) {
  const ConvDesc& d = p.desc;
  const int half = d.addend_upsampled ? 2 : 1;
  std::fill_n(m.addend, floats(batch, d.out_channels, d.out_height / half, d.out_width / half),
              0.5f);
}

/// Multiplications per image.
double macs(const ConvDesc& d) {
  const int depth = d.in_channels / d.groups;
  return double(depth) * d.kernel_h * d.kernel_w *
         static_cast<double>(floats(1, d.out_channels, d.out_height, d.out_width));
}

bool has_whole_strides(const ConvProblem& p) {
  const ConvDesc& d = p.desc;
  return d.out_height * d.stride == d.in_height &&
         (p.depthwise == nullptr || has_whole_strides(*p.depthwise));
}

/// The uppermost rows of a large map: what is much slower on them is so on the whole map, too. Not
/// of one a little larger: the weights of those that reach the final are packed again.
ConvProblem slice_of(const ConvProblem& problem, int threads) {
  constexpr int kMultiple = 8;  // of every algorithm's tiles
  ConvProblem slice = problem;
  ConvDesc& d = slice.desc;
  const double rows = kHeatMacs * threads / macs(d) * d.out_height;
  if (3 * rows > d.out_height || !has_whole_strides(problem)) return slice;
  d.out_height = (int(rows) / kMultiple + 1) * kMultiple;
  d.in_height = d.out_height * d.stride;
  if (slice.depthwise == nullptr) return slice;
  ConvProblem before = *slice.depthwise;
  before.desc.out_height = d.in_height;
  before.desc.in_height = d.in_height * before.desc.stride;
  slice.depthwise = std::make_shared<const ConvProblem>(std::move(before));
  return slice;
}

}  // namespace

struct Tuner::State {
  std::mutex mutex;
  Measurements known;
  bool measured = false;  // something that no file holds
  AlignedFloats block;    // of evict(), while timing

  /// Reads `bytes` of a block larger than the caches, on every thread of the team.
  void evict(size_t bytes, const Parallel& parallel) {
    if (block == nullptr) block = aligned_zeros(kEvictBytes / sizeof(float));
    const size_t lines = bytes / sizeof(float) / 16;
    std::atomic<float> sum{0.f};
    const size_t part = lines / 64;
    parallel(64, [&](int task, int) {
      float local = 0.f;
      for (size_t i = task * part; i < (task + 1) * part; ++i) local += block[i * 16];
      sum.store(local, std::memory_order_relaxed);
    });
  }

  /// A candidate, ready to run or given up, and its best time so far.
  struct Contender {
    const Candidate* candidate;
    std::unique_ptr<Layer> layer;
    Timing timing;
  };
  using Field = std::vector<Contender>;

  static Field contenders(const ConvProblem& problem, const std::vector<Candidate>& candidates,
                          const Parallel& parallel) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    auto layers = make_layers(
        candidates.size(), [&](size_t i) { return candidates[i].make(problem); }, parallel);
    Field field;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i] == nullptr) continue;
      const size_t bytes = layers[i]->weight_bytes();
      field.push_back(
          {&candidates[i], std::move(layers[i]), {candidates[i].name, kInfinity, bytes}});
    }
    return field;
  }

  static size_t largest_weights(const Field& field) {
    size_t largest = 0;
    for (const Contender& c : field)
      if (c.layer != nullptr) largest = std::max(largest, c.timing.weight_bytes);
    return largest;
  }

  static double best_of(const Field& field) {
    double best = std::numeric_limits<double>::infinity();
    for (const Contender& c : field) best = std::min(best, c.timing.milliseconds);
    return best;
  }

  /// What a race is about.
  struct Course {
    const ConvProblem& problem;
    int batch, rounds;
    size_t warm_bytes;  // fewer bytes of weights need not be cold
  };

  /// In rounds, so that what disturbs the machine for a while disturbs all of them. A round begins
  /// with cold weights: each layer reads only its own.
  void race(Field& field, const Course& course, const LayerMemory& memory,
            const Parallel& parallel) {
    const size_t largest = largest_weights(field);
    size_t scratch_bytes = 0, all = 0;
    for (const Contender& c : field) {
      if (c.layer == nullptr) continue;
      scratch_bytes = std::max(scratch_bytes, c.layer->scratch_bytes(parallel.threads));
      all += c.timing.weight_bytes;
    }
    // From the second round on, what the others read since its last run has left a layer cold, too.
    const size_t rest = kEvictBytes - std::min(kEvictBytes, all - largest);
    const AlignedFloats scratch = aligned_zeros(scratch_bytes / sizeof(float) + 16);
    fill_input(course.problem, memory, course.batch);
    for (int round = 0; round < course.rounds; ++round) {
      if (largest > course.warm_bytes) evict(round == 0 ? kEvictBytes : rest, parallel);
      for (Contender& c : field) {
        if (c.layer == nullptr) continue;
        if (memory.addend != nullptr)
          fill_addend(course.problem, memory, course.batch);  // may be the output
        const double ms = run_ms(*c.layer, memory, course.batch, scratch.get(), parallel);
        c.timing.milliseconds = std::min(c.timing.milliseconds, ms);
      }
    }
  }

  /// Those that are left, for another problem.
  static void make_again(Field& field, const ConvProblem& problem, const Parallel& parallel) {
    auto layers = make_layers(
        field.size(),
        [&](size_t i) {
          Contender& c = field[i];
          const bool left = c.layer != nullptr;
          c.layer = nullptr;
          return left ? c.candidate->make(problem) : nullptr;
        },
        parallel);
    for (size_t i = 0; i < layers.size(); ++i) field[i].layer = std::move(layers[i]);
  }

  /// Gives up those that lost the heat, and readies the others for the whole problem. Times become
  /// estimates for it, `scale` times those of the heat. Returns how many are left.
  static size_t advance(Field& field, const ConvProblem& problem, bool sliced, double scale,
                        const Parallel& parallel) {
    const double hopeless = kHopeless * best_of(field);
    size_t left = 0;
    for (Contender& c : field) {
      const bool lost = c.timing.milliseconds > hopeless;
      if (lost) c.layer = nullptr;
      left += lost ? 0 : 1;
      c.timing.milliseconds *= scale;
    }
    if (left < 2) return left;
    for (Contender& c : field)
      if (c.layer != nullptr) c.timing.milliseconds = std::numeric_limits<double>::infinity();
    if (sliced) make_again(field, problem, parallel);
    return left;
  }

  /// Not made and not timed: there is nothing to choose.
  static Timing without_rivals(const ConvProblem& problem, const Candidate& candidate) {
    const ConvDesc& d = problem.desc;
    const size_t weights =
        size_t(d.out_channels) * (d.in_channels / d.groups) * d.kernel_h * d.kernel_w;
    return {candidate.name, 1, weights * sizeof(float)};
  }

  /// The shorter a run, the more may disturb it, and the less another costs; cold ones cost more.
  static int final_rounds(double milliseconds, bool cold) {
    if (milliseconds > kLongMilliseconds) return kLongFinalRounds;
    if (cold) return kFinalRounds;
    return std::clamp(static_cast<int>(kFinalMilliseconds / milliseconds), kFinalRounds,
                      kShortFinalRounds);
  }

  /// A heat of all on one image, or a part of it, then a final of the fast ones on the batch.
  std::vector<Timing> measure(const ConvProblem& problem, const std::vector<Candidate>& candidates,
                              const LayerMemory& memory, int batch, const Parallel& parallel) {
    const ConvProblem heat = slice_of(problem, parallel.threads);
    Field field = contenders(heat, candidates, parallel);
    const size_t warm_bytes =
        std::max(kWarmBytes, static_cast<size_t>(kWarmShare * batch * macs(problem.desc)));
    race(field, {heat, 1, kHeatRounds, warm_bytes}, memory, parallel);
    const double scale = double(batch) * problem.desc.out_height / heat.desc.out_height;
    const bool sliced = heat.desc.out_height != problem.desc.out_height;
    const int rounds = final_rounds(scale * best_of(field), largest_weights(field) > warm_bytes);
    if (advance(field, problem, sliced, scale, parallel) > 1)
      race(field, {problem, batch, rounds, warm_bytes}, memory, parallel);
    std::vector<Timing> timings;
    timings.reserve(field.size());
    for (Contender& c : field)
      if (std::isfinite(c.timing.milliseconds)) timings.push_back(std::move(c.timing));
    return timings;
  }
};

Tuner::Tuner() : state_(std::make_unique<State>()) {}

Tuner& Tuner::shared() {
  static Tuner tuner;
  return tuner;
}

std::vector<Timing> Tuner::time(const ConvProblem& problem, Precision precision,
                                const std::vector<Candidate>& candidates, const LayerMemory& memory,
                                int batch, const Parallel& parallel) {
  if (candidates.size() == 1) return {State::without_rivals(problem, candidates.front())};
  const std::scoped_lock lock(state_->mutex);
  const std::string key = key_of(problem, precision, candidates, batch, parallel.threads);
  const auto found = state_->known.timings.find(key);
  if (found != state_->known.timings.end()) return found->second;
  state_->measured = true;
  return state_->known.timings[key] = state_->measure(problem, candidates, memory, batch, parallel);
}

std::optional<double> Tuner::error(const std::string& key) const {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->known.errors.find(key);
  if (found == state_->known.errors.end()) return std::nullopt;
  return found->second;
}

void Tuner::keep_error(const std::string& key, double error) {
  if (!std::isfinite(error)) return;
  const std::scoped_lock lock(state_->mutex);
  state_->known.errors[key] = error;
  state_->measured = true;
}

void Tuner::load(const std::string& path) {
  Measurements read = read_measurements(path, machine_line());
  const std::scoped_lock lock(state_->mutex);
  state_->known.timings.merge(read.timings);
  state_->known.errors.merge(read.errors);
}

void Tuner::save(const std::string& path) {
  const std::scoped_lock lock(state_->mutex);
  state_->block.reset();
  if (!state_->measured) return;
  state_->measured = !write_measurements(path, machine_line(), state_->known);
}

namespace {

size_t fastest(const std::vector<Timing>& timings) {
  double best = std::numeric_limits<double>::infinity();
  for (const Timing& t : timings) best = std::min(best, t.milliseconds);
  size_t i = 0;
  while (i + 1 < timings.size() && timings[i].milliseconds > kTie * best) ++i;
  return i;
}

/// A step down from the current choice of one layer.
struct Switch {
  size_t layer = 0, to = 0;
  double cost = std::numeric_limits<double>::infinity();  // ms per byte saved
};

Switch cheapest_switch(const std::vector<std::vector<Timing>>& layers,
                       const std::vector<size_t>& chosen) {
  Switch best;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Timing& now = layers[i][chosen[i]];
    for (size_t k = 0; k < layers[i].size(); ++k) {
      const Timing& other = layers[i][k];
      if (other.weight_bytes >= now.weight_bytes) continue;
      const double cost = (other.milliseconds - now.milliseconds) /
                          static_cast<double>(now.weight_bytes - other.weight_bytes);
      if (cost < best.cost) best = {i, k, cost};
    }
  }
  return best;
}

}  // namespace

std::vector<size_t> choose(const std::vector<std::vector<Timing>>& layers, size_t weight_budget) {
  std::vector<size_t> chosen;
  size_t bytes = 0;
  for (const auto& timings : layers) {
    chosen.push_back(fastest(timings));
    bytes += timings[chosen.back()].weight_bytes;
  }
  while (bytes > weight_budget) {
    const Switch next = cheapest_switch(layers, chosen);
    if (next.cost == std::numeric_limits<double>::infinity()) break;
    bytes -= layers[next.layer][chosen[next.layer]].weight_bytes;
    chosen[next.layer] = next.to;
    bytes += layers[next.layer][next.to].weight_bytes;
  }
  return chosen;
}

}  // namespace face::cpu
