// SPDX-License-Identifier: MIT
#include "engine/cuda/device_network.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/cuda/cudnn_layers.h"
#include "engine/cuda/installed_cudnn.h"
#include "engine/cuda/op_params.h"
#include "engine/error.h"
#include "kernels/cuda/conv_tile.h"
#include "kernels/math/half.h"

namespace face::cuda {
namespace {

constexpr size_t kAlign = 256;
constexpr int kMaxSplits = 32;
constexpr int kSplitChunks = 8;  // a split is worth at least this many steps of input channels

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }
size_t element_size(ElementType type) { return type == ElementType::kHalf ? 2 : 4; }

}  // namespace

std::vector<int> batch_buckets(int max_batch) {
  std::vector<int> buckets;
  for (int b = 1; b < max_batch; b *= 2) buckets.push_back(b);
  buckets.push_back(max_batch);
  return buckets;
}

/// Turns ops into steps; weights gather in host memory and go up in one copy.
class DeviceNetwork::Builder {
 public:
  Builder(DeviceNetwork& owner, int max_batch) : o_(owner), max_batch_(max_batch) {}

  void run() {
    for (const Op& op : o_.network_.ops) add(op);
    upload();
    resolve();
    size_t partial = 0;
    for (Step& step : o_.steps_)
      for (const int batch : batch_buckets(max_batch_)) {
        const OpParams& p = step.params;
        const int splits = o_.splits(step, batch);
        if (splits > 1)
          partial = std::max(partial, size_t(splits) * batch * p.out_h * p.out_w * padded(p.out_c) *
                                          sizeof(float));
      }
    o_.partial_ = device_memory(partial);
  }

 private:
  struct Offsets {
    size_t weights, bias, slopes;
  };
  static constexpr size_t kNone = ~size_t{0};

  void add(const Op& op) {
    Step step;
    step.params = op_params(op, o_.shapes_);
    const OpParams& p = step.params;
    Offsets offsets{kNone, kNone, kNone};
    if (op.kind == OpKind::kConv) {
      offsets.weights = add_conv(op, step, op.weights);
    } else if (op.kind == OpKind::kFullyConnected) {
      offsets.weights = add_conv(op, step, fully_connected_weights(op, o_.shapes_));
    } else if (op.kind == OpKind::kAffine) {
      offsets.weights = add_floats(op.weights, 1, p.out_c);
    }
    if (op.kind == OpKind::kMaxPool) step.path = Path::kMaxPool;
    if (op.kind == OpKind::kAveragePool) step.path = Path::kAveragePool;
    if (!op.bias.empty()) offsets.bias = add_floats(op.bias, p.border_bias ? 9 : 1, p.out_c);
    if (!op.slopes.empty()) offsets.slopes = add_floats(op.slopes, 1, p.out_c);
    o_.steps_.push_back(step);
    offsets_.push_back(offsets);
  }

  size_t add_conv(const Op& op, Step& step, std::span<const float> weights) {
    const OpParams& p = step.params;
    if (p.groups > 1 && p.groups == p.in_c && p.in_c == p.out_c) {
      step.path = Path::kDepthwise;
      const int taps = p.kernel_h * p.kernel_w;
      std::vector<float> by_tap(weights.size());
      for (int c = 0; c < p.out_c; ++c)
        for (int t = 0; t < taps; ++t) by_tap[size_t(t) * p.out_c + c] = weights[c * taps + t];
      return add_floats(by_tap, taps, p.out_c);
    }
    if (use_tensor_cores(step)) {
      step.path = Path::kMma;
      check_range(op, weights);
      std::vector<uint16_t> packed(step.plan.weight_count);
      pack_conv_mma(p, step.plan, weights.data(), packed.data());
      return add_bytes(packed.data(), packed.size() * sizeof(uint16_t));
    }
    step.path = Path::kSimt;
    if (o_.type_ == ElementType::kHalf && o_.device_.half2_products() && p.groups == 1)
      step.products = Products::kHalf2;
    std::vector<float> packed(conv_simt_weight_count(p, step.products));
    pack_conv_simt(p, step.products, weights.data(), packed.data());
    if (o_.type_ == ElementType::kFloat) return add_bytes(packed.data(), packed.size() * 4);
    check_range(op, weights);
    std::vector<uint16_t> halves(packed.size());
    std::transform(packed.begin(), packed.end(), halves.begin(), half_from_float);
    return add_bytes(halves.data(), halves.size() * sizeof(uint16_t));
  }

  bool use_tensor_cores(Step& step) const {
    const OpParams& p = step.params;
    if (o_.type_ != ElementType::kHalf || !o_.device_.tensor_cores() || p.groups != 1) return false;
    step.plan = plan_conv_mma(p);
    OpParams one = p;
    one.batch = 1;
    return choose_tile(one, step.plan, static_cast<size_t>(o_.device_.max_shared)).width > 0;
  }

  static void check_range(const Op& op, std::span<const float> weights) {
    for (const float w : weights)
      if (!(std::abs(w) <= kHalfMax))
        throw Error(ErrorKind::kBadModel, "op '" + op.name + "': weight " + std::to_string(w) +
                                              " is no finite fp16 number: use precision fp32");
  }

  /// Rows of `channels` values, each padded with zeros.
  size_t add_floats(std::span<const float> values, int rows, int channels) {
    std::vector<float> out(size_t(rows) * padded(channels));
    for (int r = 0; r < rows; ++r)
      std::copy_n(values.data() + size_t(r) * channels, channels,
                  out.data() + size_t(r) * padded(channels));
    return add_bytes(out.data(), out.size() * sizeof(float));
  }

  size_t add_bytes(const void* data, size_t size) {
    const size_t offset = bytes_.size();
    bytes_.resize(offset + aligned(size));
    std::memcpy(bytes_.data() + offset, data, size);
    return offset;
  }

  void upload() {
    Memory weights = device_memory(bytes_.size());
    if (!bytes_.empty()) {
      const Stream stream = make_stream();
      FACE_CUDA(cudaMemcpyAsync(weights.as<char>(), bytes_.data(), bytes_.size(),
                                cudaMemcpyHostToDevice, stream.get()));
      FACE_CUDA(cudaStreamSynchronize(stream.get()));
    }
    o_.weights_ = std::make_shared<const Memory>(std::move(weights));
  }

  void resolve() {
    for (size_t i = 0; i < o_.steps_.size(); ++i) {
      OpParams& p = o_.steps_[i].params;
      const auto at = [&](size_t offset) {
        return offset == kNone ? nullptr : o_.weights_->as<float>(offset);
      };
      p.weights = at(offsets_[i].weights);
      p.bias = at(offsets_[i].bias);
      p.slopes = at(offsets_[i].slopes);
    }
  }

  DeviceNetwork& o_;
  int max_batch_;
  std::vector<char> bytes_;
  std::vector<Offsets> offsets_;
};

DeviceNetwork::DeviceNetwork(const Device& device, const Network& network, int height, int width,
                             int max_batch, ElementType type, const CudnnOptions& cudnn)
    : device_(device),
      network_(network),
      type_(type),
      shapes_(infer_shapes(network, height, width)) {
  plan_arena(max_batch);
  Builder(*this, max_batch).run();
  bind_activations();
  choose_cudnn(max_batch, cudnn);
}

DeviceNetwork::DeviceNetwork(const DeviceNetwork& first)
    : device_(first.device_),
      network_(first.network_),
      type_(first.type_),
      shapes_(first.shapes_),
      offsets_(first.offsets_),
      steps_(first.steps_),
      is_twin_(true),
      weights_(first.weights_),
      arena_(device_memory(first.arena_.bytes())),
      partial_(device_memory(first.partial_.bytes())),
      cudnn_(first.cudnn_),
      cudnn_workspace_(device_memory(first.cudnn_workspace_.bytes())),
      cudnn_note_(first.cudnn_note_) {
  bind_activations();
}

std::unique_ptr<DeviceNetwork> DeviceNetwork::twin() const {
  return std::unique_ptr<DeviceNetwork>(new DeviceNetwork(*this));
}

DeviceNetwork::~DeviceNetwork() = default;

/// First fit over lifetimes, in the order tensors are written.
void DeviceNetwork::plan_arena(int max_batch) {
  const int ops = static_cast<int>(network_.ops.size());
  struct Life {
    int first = 0, last = -1;
    size_t bytes = 0;
  };
  std::vector<Life> lives(shapes_.size());
  lives[network_.input.tensor] = {-1, -1, 0};
  for (int i = 0; i < ops; ++i) {
    const Op& op = network_.ops[i];
    lives[op.output] = {i, i, 0};
    lives[op.input].last = i;
    if (op.addend != kNoTensor) lives[op.addend].last = i;
  }
  for (const Output& output : network_.outputs) lives[output.tensor].last = ops;
  for (const DetectorLevel& level : network_.levels) lives[level.tensor].last = ops;
  std::vector<TensorId> order;
  for (size_t t = 0; t < shapes_.size(); ++t) {
    const Shape& s = shapes_[t];
    lives[t].bytes =
        aligned(size_t(max_batch) * s.height * s.width * padded(s.channels) * element_size(type_));
    if (lives[t].last >= lives[t].first) order.push_back(static_cast<TensorId>(t));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](TensorId a, TensorId b) { return lives[a].bytes > lives[b].bytes; });
  offsets_.assign(shapes_.size(), 0);
  std::vector<TensorId> placed;
  size_t total = 0;
  for (const TensorId t : order) {
    std::vector<std::pair<size_t, size_t>> taken;  // begin, end of those alive with t
    for (const TensorId other : placed)
      if (lives[other].first <= lives[t].last && lives[t].first <= lives[other].last)
        taken.emplace_back(offsets_[other], offsets_[other] + lives[other].bytes);
    std::sort(taken.begin(), taken.end());
    size_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + lives[t].bytes <= begin) break;
      offset = std::max(offset, end);
    }
    offsets_[t] = offset;
    total = std::max(total, offset + lives[t].bytes);
    placed.push_back(t);
  }
  arena_ = device_memory(total);
}

void DeviceNetwork::bind_activations() {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Op& op = network_.ops[i];
    OpParams& p = steps_[i].params;
    p.in = tensor(op.input);
    p.out = tensor(op.output);
    if (op.addend != kNoTensor) p.addend = tensor(op.addend);
  }
}

/// Splits of the input channels, where the pixels and channels alone leave processors idle.
int DeviceNetwork::splits(const Step& step, int batch) const {
  if (step.path != Path::kMma) return 1;
  OpParams p = step.params;
  p.batch = batch;
  const ConvTile t = choose_tile(p, step.plan, static_cast<size_t>(device_.max_shared));
  const int blocks = t.across * t.down * t.deep * step.plan.blocks_n;
  const int by_work = step.plan.chunks / kSplitChunks;
  const int by_device = 2 * device_.multiprocessors / std::max(blocks, 1);
  return std::clamp(std::min(by_work, by_device), 1, kMaxSplits);
}

void DeviceNetwork::enqueue_op(size_t index, int batch, cudaStream_t stream) const {
  OpParams p = steps_[index].params;
  p.batch = batch;
  if (cudnn_ == nullptr || !cudnn_->enqueue(index, p, cudnn_workspace_, stream))
    enqueue_own(index, p, stream);
}

void DeviceNetwork::enqueue_own(size_t index, OpParams p, cudaStream_t stream) const {
  const Step& step = steps_[index];
  p.splits = splits(step, p.batch);
  if (p.splits > 1) p.partial = partial_.as<float>();
  const auto launched = [&](cudaError_t status) {
    check(status, own_implementation(index),
          "op '" + network_.ops[index].name + "', batch " + std::to_string(p.batch) + ", " +
              device_.name);
  };
  switch (step.path) {
    case Path::kMma:
      launched(conv_mma(p, step.plan, device_.max_shared, stream));
      break;
    case Path::kSimt:
      launched(conv_simt(p, type_, step.products, stream));
      break;
    case Path::kDepthwise:
      launched(conv_depthwise(p, type_, stream));
      break;
    case Path::kMaxPool:
      launched(max_pool(p, type_, stream));
      break;
    case Path::kAveragePool:
      launched(average_pool(p, type_, stream));
      break;
    case Path::kPointwise:
      launched(pointwise(p, type_, stream));
      break;
  }
  if (p.splits > 1) launched(finish_split(p, type_, stream));
}

void DeviceNetwork::enqueue(int batch, cudaStream_t stream) const {
  for (size_t i = 0; i < steps_.size(); ++i) enqueue_op(i, batch, stream);
}

void DeviceNetwork::choose_cudnn(int max_batch, const CudnnOptions& options) {
  if (!options.use || type_ != ElementType::kHalf) {
    cudnn_note_ = options.use ? "cuDNN is not used in fp32" : "cuDNN is turned off";
    return;
  }
  const auto library = cudnn::installed_library();
  if (library == nullptr) {
    cudnn_note_ = "cuDNN is not installed";
    return;
  }
  std::vector<OpParams> params;
  for (const Step& step : steps_) params.push_back(step.params);
  const std::vector<int> batches = batch_buckets(max_batch);
  const auto own = [this](size_t index, const OpParams& p, cudaStream_t stream) {
    enqueue_own(index, p, stream);
  };
  try {
    cudnn_ = std::make_shared<const CudnnLayers>(
        library, CudnnLayers::Work{device_, network_, shapes_, params, batches, arena_, own},
        options.plan_path);
    cudnn_workspace_ = device_memory(cudnn_->workspace_bytes());
    cudnn_note_ = cudnn_->summary();
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kDeviceLost) throw;
    cudnn_note_ = std::string("cuDNN is not used: ") + e.what();
  }
}

size_t DeviceNetwork::activation_bytes() const {
  return arena_.bytes() + partial_.bytes() + cudnn_workspace_.bytes();
}

size_t DeviceNetwork::weight_bytes() const {
  if (is_twin_) return 0;
  return weights_->bytes() + (cudnn_ ? cudnn_->weight_bytes() : 0);
}

std::string DeviceNetwork::implementation(size_t op, int batch) const {
  const std::string by_cudnn = cudnn_ ? cudnn_->implementation(op, batch) : "";
  return by_cudnn.empty() ? own_implementation(op) : by_cudnn;
}

const char* DeviceNetwork::own_implementation(size_t op) const {
  switch (steps_[op].path) {
    case Path::kMma:
      return "conv_mma";
    case Path::kSimt:
      return steps_[op].products == Products::kHalf2 ? "conv_simt_half2" : "conv_simt";
    case Path::kDepthwise:
      return "conv_depthwise";
    case Path::kMaxPool:
      return "max_pool";
    case Path::kAveragePool:
      return "average_pool";
    case Path::kPointwise:
      break;
  }
  return "pointwise";
}

}  // namespace face::cuda
