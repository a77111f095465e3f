// SPDX-License-Identifier: MIT
// engine/cuda/device_network.h - a network on a device: weights packed, memory planned, launches.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/raii.h"
#include "engine/network.h"
#include "kernels/cuda/ops.h"

namespace face::cuda {

/// Sizes a batch is rounded up to: powers of two below `max_batch`, and `max_batch`.
[[nodiscard]] std::vector<int> batch_buckets(int max_batch);

/// Whether cuDNN may compute convolutions, and the file that keeps what was chosen (plan_choice.h;
/// empty: none).
struct CudnnOptions {
  bool use = false;
  std::string plan_path = {};
};

class CudnnLayers;

/// Activations live in one arena, shared by tensors that are not needed at the same time.
/// Threads: one at a time, twins included; what they captured may run at the same time. Enqueueing
/// allocates nothing and may be captured.
class DeviceNetwork {
 public:
  /// `network` must outlive this. Errors: kDevice; kBadModel - a weight that is no finite half.
  DeviceNetwork(const Device& device, const Network& network, int height, int width, int max_batch,
                ElementType type, const CudnnOptions& cudnn = {});
  /// The same network with activations of its own; weights and what cuDNN computes are shared.
  [[nodiscard]] std::unique_ptr<DeviceNetwork> twin() const;
  DeviceNetwork& operator=(const DeviceNetwork&) = delete;
  ~DeviceNetwork();

  /// Runs the operations on the first `batch` images of input(). cuDNN only has a part where
  /// `batch` is one of batch_buckets().
  void enqueue(int batch, cudaStream_t stream) const;
  void enqueue_op(size_t index, int batch, cudaStream_t stream) const;

  /// (max_batch, height, width, padded(channels)) of the element type.
  [[nodiscard]] void* tensor(TensorId id) const { return arena_.as<char>(offsets_[id]); }
  [[nodiscard]] void* input() const { return tensor(network_.input.tensor); }
  [[nodiscard]] const Shape& shape(TensorId id) const { return shapes_[id]; }
  [[nodiscard]] const std::vector<Shape>& shapes() const { return shapes_; }
  [[nodiscard]] const Network& network() const { return network_; }
  [[nodiscard]] ElementType type() const { return type_; }
  /// What computes an op in a batch, e.g. "conv_mma", "cudnn:eng41".
  [[nodiscard]] std::string implementation(size_t op, int batch) const;
  /// Whether cuDNN is used, and for how much; else why not.
  [[nodiscard]] const std::string& cudnn_note() const { return cudnn_note_; }
  [[nodiscard]] size_t activation_bytes() const;
  [[nodiscard]] size_t weight_bytes() const;  // 0 for a twin: its first has them

 private:
  DeviceNetwork(const DeviceNetwork& first);
  enum class Path { kMma, kSimt, kDepthwise, kMaxPool, kAveragePool, kPointwise };
  struct Step {
    OpParams params;  // batch and splits are filled in by enqueue_op()
    Path path = Path::kPointwise;
    ConvMmaPlan plan;                      // kMma
    Products products = Products::kFloat;  // kSimt
  };
  class Builder;

  void bind_activations();
  [[nodiscard]] int splits(const Step& step, int batch) const;
  [[nodiscard]] const char* own_implementation(size_t op) const;
  void enqueue_own(size_t index, OpParams p, cudaStream_t stream) const;
  void plan_arena(int max_batch);
  void choose_cudnn(int max_batch, const CudnnOptions& options);

  Device device_;
  const Network& network_;
  ElementType type_;
  std::vector<Shape> shapes_;
  std::vector<size_t> offsets_;  // of each tensor in arena_
  std::vector<Step> steps_;
  bool is_twin_ = false;
  std::shared_ptr<const Memory> weights_;
  Memory arena_, partial_;  // partial_: of split convolutions
  std::shared_ptr<const CudnnLayers> cudnn_;
  Memory cudnn_workspace_;
  std::string cudnn_note_;
};

}  // namespace face::cuda
