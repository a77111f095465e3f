// SPDX-License-Identifier: MIT
// engine/cuda/cudnn_layers.h - the convolutions of one network that cuDNN computes, because it was
// faster than our kernel when both were timed here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/cudnn_graph.h"
#include "engine/cuda/device_network.h"
#include "engine/cuda/plan_choice.h"

namespace face::cuda {

/// Twins of a network share one. Threads: one at a time. Enqueueing allocates no device memory and
/// may be captured.
class CudnnLayers {
 public:
  /// Our own implementation of op `index` on the tensors of `p`.
  using Own = std::function<void(size_t index, const OpParams& p, cudaStream_t stream)>;

  /// A network to choose for. `params` are those of each op with pointers, without a batch;
  /// `arena` is what timing may overwrite: it has room for the tensors of any op.
  struct Work {
    const Device& device;
    const Network& network;
    const std::vector<Shape>& shapes;
    const std::vector<OpParams>& params;
    const std::vector<int>& batches;
    const Memory& arena;
    Own own;
  };

  /// Chooses for each convolution and batch: as the file `plan_path` says, else by timing, which
  /// goes to the file; empty: no file. A plan has to give our kernel's numbers (relative L2 4e-3).
  /// Errors: kDevice - cuDNN does not start, our own kernel fails.
  CudnnLayers(std::shared_ptr<const cudnn::Library> library, const Work& work,
              const std::string& plan_path);
  ~CudnnLayers();

  /// Enqueues op `index` if cuDNN computes it for that batch: p.batch. False: it does not.
  /// `workspace`: workspace_bytes(), not in use elsewhere while this runs.
  [[nodiscard]] bool enqueue(size_t index, const OpParams& p, const Memory& workspace,
                             cudaStream_t stream) const;
  /// "cudnn:eng41"; empty if our kernel computes it.
  [[nodiscard]] std::string implementation(size_t index, int batch) const;

  [[nodiscard]] size_t weight_bytes() const;
  [[nodiscard]] size_t workspace_bytes() const { return workspace_bytes_; }
  /// "cuDNN 9.19.0: 31 of 55 convolutions": in at least one batch bucket.
  [[nodiscard]] std::string summary() const;

 private:
  struct Layer;
  class Tuner;

  cudnn::Session session_;
  std::map<size_t, std::unique_ptr<Layer>> layers_;  // by op
  size_t convolutions_ = 0;
  size_t workspace_bytes_ = 0;
};

}  // namespace face::cuda
