// SPDX-License-Identifier: MIT
// engine/pipeline_pool.h - pipelines of one pack on one or several devices, for any thread to use.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/backend.h"

namespace face {

using Backends = std::vector<std::unique_ptr<Backend>>;

/// Threads: run() may be called from any number; size() calls work at the same time, the others
/// wait their turn. The rest is constant.
class PipelinePool {
 public:
  /// On each of `backends` up to `instances` pipelines (Pipeline::twin()), so that copies and
  /// kernels of consecutive batches overlap. `backends` must outlive this. Runs one image through
  /// each before it returns: the first request is not the slow one.
  /// Errors: those of Backend::pipeline(); kInvalidArgument - devices that would choose different
  /// precisions.
  PipelinePool(const Backends& backends, const std::shared_ptr<const Pack>& pack,
               const PipelineOptions& options, int instances);

  /// Any number of images: cut into batches of at most max_batch(). `times` may be null.
  [[nodiscard]] std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                                   StageTimes* times);

  [[nodiscard]] int size() const { return static_cast<int>(pipelines_.size()); }
  [[nodiscard]] int max_batch() const { return pipelines_.front()->max_batch(); }
  [[nodiscard]] Precision precision() const { return pipelines_.front()->precision(); }
  [[nodiscard]] std::string notes() const { return pipelines_.front()->notes(); }
  [[nodiscard]] size_t memory_bytes() const;  // of all

 private:
  class Lease;

  std::vector<std::unique_ptr<Pipeline>> pipelines_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::deque<Pipeline*> idle_;  // in the order they came back: devices take turns
};

}  // namespace face
