// SPDX-License-Identifier: MIT
#include "engine/cuda/cudnn_layers.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "engine/cuda/launch_timer.h"
#include "engine/cuda/op_params.h"
#include "engine/error.h"
#include "kernels/math/half.h"

namespace face::cuda {
namespace {

using cudnn::Graph;
using cudnn::Plan;
using cudnn::Problem;

constexpr size_t kPlans = 8;
constexpr size_t kWorkspace = size_t{32} << 20;
constexpr size_t kRotated = size_t{192} << 20;  // more than any GPU's last cache
constexpr size_t kAlign = 256;
constexpr double kHopeless = 2.0;
constexpr double kTolerance = 4e-3;  // relative L2: two roundings to fp16 are 6e-4 at most
constexpr size_t kCompared = size_t{1} << 20;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

Memory upload(const std::vector<uint16_t>& halves, cudaStream_t stream) {
  Memory memory = device_memory(halves.size() * sizeof(uint16_t));
  FACE_CUDA(cudaMemcpyAsync(memory.as<void>(), halves.data(), memory.bytes(),
                            cudaMemcpyHostToDevice, stream));
  FACE_CUDA(cudaStreamSynchronize(stream));
  return memory;
}

/// Every pixel's first `channels` of `stride` halves.
bool agree(const std::vector<uint16_t>& found, const std::vector<uint16_t>& wanted, int channels,
           int stride) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (static_cast<int>(i % stride) >= channels) continue;
    const double w = float_from_half(wanted[i]), d = float_from_half(found[i]) - w;
    error += d * d;
    norm += w * w;
  }
  return std::sqrt(error) <= kTolerance * std::sqrt(norm);  // false for NaN
}

}  // namespace

struct CudnnLayers::Layer {
  Memory weights, bias;
  std::map<int, Plan> plans;  // by batch

  void enqueue(const Plan& plan, const OpParams& p, const Memory& workspace,
               cudaStream_t stream) const {
    plan.enqueue({.in = p.in,
                  .weights = weights.as<void>(),
                  .addend = p.addend,
                  .bias = bias.as<void>(),
                  .out = p.out,
                  .workspace = workspace.as<void>()},
                 stream);
    if (!plan.problem().finish) return;
    OpParams rest = p;
    rest.in = p.out;
    rest.weights = nullptr;
    rest.in_h = p.out_h, rest.in_w = p.out_w, rest.in_c = p.out_c;
    check(pointwise(rest, ElementType::kHalf, stream), "pointwise", "finish of " + plan.name());
  }
};

/// Decides for one network, op by op.
class CudnnLayers::Tuner {
 public:
  Tuner(CudnnLayers& owner, const Work& work, const std::string& plan_path)
      : o_(owner),
        work_(work),
        path_(plan_path),
        machine_(plan_machine(work.device, owner.session_.library().version_text())),
        stream_(make_stream()) {
    if (!path_.empty()) known_ = read_plans(path_, machine_);
  }

  void run() {
    for (size_t i = 0; i < work_.network.ops.size(); ++i) add(i);
    for (const auto& [op, layer] : o_.layers_)
      for (const auto& [batch, plan] : layer->plans)
        o_.workspace_bytes_ = std::max(o_.workspace_bytes_, plan.workspace_bytes());
    want_workspace(o_.workspace_bytes_);
    warm_up();
    if (measured_ && !path_.empty()) save();
  }

 private:
  void add(size_t index) {
    const Op& op = work_.network.ops[index];
    OpParams p = work_.params[index];
    auto problem = cudnn::problem_of(op, p, ElementType::kHalf);
    if (!problem) return;
    ++o_.convolutions_;
    Layer layer;
    for (const int batch : work_.batches) {
      p.batch = problem->batch = batch;
      if (auto plan = plan_for(index, p, *problem, layer))
        layer.plans.emplace(batch, *std::move(plan));
    }
    if (layer.plans.empty()) return;
    load_weights(index, *problem, layer);
    o_.layers_[index] = std::make_unique<Layer>(std::move(layer));
  }

  std::optional<Plan> plan_for(size_t index, const OpParams& p, const Problem& problem,
                               Layer& layer) {
    const std::string key = problem.key();
    std::optional<Graph> graph;
    try {
      graph.emplace(o_.session_, problem);
    } catch (const Error&) {
      return std::nullopt;  // cuDNN has no such operation
    }
    const auto found = known_.find(key);
    if (found != known_.end()) {
      if (found->second.plan.empty()) return std::nullopt;
      auto plan = graph->plan(found->second.plan);
      if (plan && plan->workspace_bytes() <= kWorkspace) return plan;
    }
    load_weights(index, problem, layer);
    measured_ = true;
    return measure(index, p, *graph, layer, known_[key]);
  }

  void load_weights(size_t index, const Problem& problem, Layer& layer) {
    if (layer.weights.bytes() > 0) return;
    const Op& op = work_.network.ops[index];
    const OpParams& p = work_.params[index];
    std::vector<uint16_t> packed(cudnn::weight_count(p));
    if (op.kind == OpKind::kFullyConnected)
      cudnn::pack_weights(p, fully_connected_weights(op, work_.shapes).data(), packed.data());
    else
      cudnn::pack_weights(p, op.weights.data(), packed.data());
    layer.weights = upload(packed, stream_.get());
    if (!problem.bias) return;
    std::vector<uint16_t> bias(padded(p.out_c));
    std::transform(op.bias.begin(), op.bias.end(), bias.begin(), half_from_float);
    layer.bias = upload(bias, stream_.get());
  }

  std::optional<Plan> measure(size_t index, const OpParams& p, const Graph& graph,
                              const Layer& layer, PlanChoice& choice) {
    choice = {};
    if (set_bytes(p) > work_.arena.bytes()) return std::nullopt;  // an addend that is the input
    std::vector<Plan> plans = graph.plans(kPlans, kWorkspace);
    for (const Plan& plan : plans) want_workspace(plan.workspace_bytes());
    place(p);
    const Launch own = [&](int turn, cudaStream_t s) { work_.own(index, turned(p, turn), s); };
    choice.own_ms = median_ms(own, INFINITY, stream_.get());
    double best = choice.own_ms;
    std::vector<PlanTime> times;
    for (const Plan& plan : plans) {
      times.push_back({plan.name(), time(layer, plan, p, kHopeless * best)});
      best = std::min(best, times.back().milliseconds);
    }
    for (const size_t i : plans_worth_taking(choice.own_ms, times)) {
      if (!gives_our_numbers(index, p, layer, plans[i])) continue;
      choice.plan = times[i].name;
      choice.plan_ms = times[i].milliseconds;
      return std::move(plans[i]);
    }
    return std::nullopt;
  }

  void want_workspace(size_t bytes) {
    if (bytes > workspace_.bytes()) workspace_ = device_memory(bytes);
  }

  /// Infinite for a plan that does not run.
  double time(const Layer& layer, const Plan& plan, const OpParams& p, double hopeless) {
    try {
      return median_ms(
          [&](int turn, cudaStream_t s) { layer.enqueue(plan, turned(p, turn), workspace_, s); },
          hopeless, stream_.get());
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::kDeviceLost) throw;
      return INFINITY;
    }
  }

  bool gives_our_numbers(size_t index, const OpParams& p, const Layer& layer, const Plan& plan) {
    place(p);
    const OpParams at = turned(p, 0);
    work_.own(index, at, stream_.get());
    const std::vector<uint16_t> wanted = sample(at);
    FACE_CUDA(cudaMemsetAsync(at.out, 0xff, out_bytes(at), stream_.get()));  // NaN
    layer.enqueue(plan, at, workspace_, stream_.get());
    return agree(sample(at), wanted, at.out_c, padded(at.out_c));
  }

  /// The first and the last pixels of the output.
  std::vector<uint16_t> sample(const OpParams& p) {
    const size_t stride = padded(p.out_c), pixels = size_t(p.batch) * p.out_h * p.out_w;
    const size_t count = std::min(pixels, std::max<size_t>(kCompared / stride, 1)) * stride;
    std::vector<uint16_t> values(2 * count);
    const auto* out = static_cast<const uint16_t*>(p.out);
    const size_t bytes = count * sizeof(uint16_t);
    FACE_CUDA(cudaMemcpyAsync(values.data(), out, bytes, cudaMemcpyDeviceToHost, stream_.get()));
    FACE_CUDA(cudaMemcpyAsync(values.data() + count, out + pixels * stride - count, bytes,
                              cudaMemcpyDeviceToHost, stream_.get()));
    FACE_CUDA(cudaStreamSynchronize(stream_.get()));
    return values;
  }

  // ---- where timing happens: sets of in, addend and out, one after another in the arena ----

  static size_t in_bytes(const OpParams& p) {
    return size_t(p.batch) * p.in_h * p.in_w * padded(p.in_c) * sizeof(uint16_t);
  }
  static size_t out_bytes(const OpParams& p) {
    return size_t(p.batch) * p.out_h * p.out_w * padded(p.out_c) * sizeof(uint16_t);
  }
  static size_t addend_bytes(const OpParams& p) {
    return p.addend == nullptr ? 0 : out_bytes(p) / (p.addend_upsampled ? 4 : 1);
  }
  static size_t set_bytes(const OpParams& p) {
    return aligned(in_bytes(p)) + aligned(addend_bytes(p)) + aligned(out_bytes(p));
  }

  /// Chooses the number of sets and fills them with numbers between -1 and 1.
  void place(const OpParams& p) {
    const size_t bytes = set_bytes(p);
    sets_ = std::clamp<size_t>(std::min(kRotated, work_.arena.bytes()) / bytes, 1, 64);
    fill(std::min(sets_ * bytes, work_.arena.bytes()));
  }

  [[nodiscard]] OpParams turned(OpParams p, int turn) const {
    char* at = work_.arena.as<char>() + turn % sets_ * set_bytes(p);
    p.in = at;
    at += aligned(in_bytes(p));
    if (p.addend != nullptr) p.addend = at;
    at += aligned(addend_bytes(p));
    p.out = at;
    return p;
  }

  void fill(size_t bytes) {
    if (random_.empty()) {
      std::mt19937 generator(1);
      std::uniform_real_distribution<float> uniform(-1, 1);
      random_.resize(size_t{1} << 18);
      for (uint16_t& half : random_) half = half_from_float(uniform(generator));
    }
    const size_t first = std::min(bytes, random_.size() * sizeof(uint16_t));
    char* arena = work_.arena.as<char>();
    FACE_CUDA(cudaMemcpyAsync(arena, random_.data(), first, cudaMemcpyHostToDevice, stream_.get()));
    for (size_t done = first; done < bytes; done *= 2)
      FACE_CUDA(cudaMemcpyAsync(arena + done, arena, std::min(done, bytes - done),
                                cudaMemcpyDeviceToDevice, stream_.get()));
  }

  /// Runs every chosen plan once: its code may not be loaded during a capture.
  void warm_up() {
    for (const auto& [op, layer] : o_.layers_)
      for (const auto& [batch, plan] : layer->plans) {
        OpParams p = work_.params[op];
        p.batch = batch;
        layer->enqueue(plan, p, workspace_, stream_.get());
      }
    FACE_CUDA(cudaStreamSynchronize(stream_.get()));
  }

  /// With what other networks of the pack have written meanwhile.
  void save() {
    PlanTable table = read_plans(path_, machine_);
    for (const auto& [key, choice] : known_) table[key] = choice;
    write_plans(path_, machine_, table);
  }

  CudnnLayers& o_;
  const Work& work_;
  std::string path_, machine_;
  Stream stream_;
  Memory workspace_;
  PlanTable known_;
  bool measured_ = false;
  size_t sets_ = 1;
  std::vector<uint16_t> random_;
};

CudnnLayers::CudnnLayers(std::shared_ptr<const cudnn::Library> library, const Work& work,
                         const std::string& plan_path)
    : session_(std::move(library)) {
  Tuner(*this, work, plan_path).run();
}

CudnnLayers::~CudnnLayers() = default;

bool CudnnLayers::enqueue(size_t index, const OpParams& p, const Memory& workspace,
                          cudaStream_t stream) const {
  const auto layer = layers_.find(index);
  if (layer == layers_.end()) return false;
  const auto plan = layer->second->plans.find(p.batch);
  if (plan == layer->second->plans.end()) return false;
  layer->second->enqueue(plan->second, p, workspace, stream);
  return true;
}

std::string CudnnLayers::implementation(size_t index, int batch) const {
  const auto layer = layers_.find(index);
  if (layer == layers_.end()) return "";
  const auto plan = layer->second->plans.find(batch);
  return plan == layer->second->plans.end() ? "" : "cudnn:" + plan->second.engine();
}

size_t CudnnLayers::weight_bytes() const {
  size_t bytes = 0;
  for (const auto& [op, layer] : layers_) bytes += layer->weights.bytes() + layer->bias.bytes();
  return bytes;
}

std::string CudnnLayers::summary() const {
  return "cuDNN " + session_.library().version_text() + ": " + std::to_string(layers_.size()) +
         " of " + std::to_string(convolutions_) + " convolutions";
}

}  // namespace face::cuda
