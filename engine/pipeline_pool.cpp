// SPDX-License-Identifier: MIT
#include "engine/pipeline_pool.h"

#include <algorithm>
#include <iterator>

#include "engine/error.h"

namespace face {
namespace {

void warm_up(Pipeline& pipeline) {
  const std::vector<uint8_t> grey(size_t(3) * 64 * 64, 128);
  const ImageView image{grey.data(), 64, 64, 3 * 64};
  static_cast<void>(pipeline.run({&image, 1}, nullptr));
}

}  // namespace

/// The pipeline that has been idle longest, until the end of the scope.
class PipelinePool::Lease {
 public:
  explicit Lease(PipelinePool& pool) : pool_(pool) {
    std::unique_lock lock(pool_.mutex_);
    pool_.returned_.wait(lock, [this] { return !pool_.idle_.empty(); });
    pipeline_ = pool_.idle_.front();
    pool_.idle_.pop_front();
  }
  ~Lease() {
    {
      const std::lock_guard lock(pool_.mutex_);
      pool_.idle_.push_back(pipeline_);
    }
    pool_.returned_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Pipeline* operator->() const { return pipeline_; }

 private:
  PipelinePool& pool_;
  Pipeline* pipeline_;
};

PipelinePool::PipelinePool(const Backends& backends, const std::shared_ptr<const Pack>& pack,
                           const PipelineOptions& options, int instances) {
  for (const auto& backend : backends) {
    pipelines_.push_back(backend->pipeline(pack, options));
    if (pipelines_.back()->precision() != precision())
      throw Error(ErrorKind::kInvalidArgument,
                  std::string("precision: ") + backends.front()->info().name + " would take " +
                      to_string(precision()) + " and " + backend->info().name + " " +
                      to_string(pipelines_.back()->precision()) +
                      ", whose answers differ: name one");
  }
  const size_t devices = pipelines_.size();
  for (int i = 1; i < instances; ++i)
    for (size_t d = 0; d < devices; ++d)
      if (auto twin = pipelines_[d]->twin()) pipelines_.push_back(std::move(twin));
  for (const auto& pipeline : pipelines_) {
    warm_up(*pipeline);
    idle_.push_back(pipeline.get());
  }
}

std::vector<std::vector<Face>> PipelinePool::run(std::span<const ImageView> images,
                                                 StageTimes* times) {
  std::vector<std::vector<Face>> faces;
  faces.reserve(images.size());
  StageTimes sum;
  const auto batch = static_cast<size_t>(max_batch());
  for (size_t begin = 0; begin < images.size(); begin += batch) {
    StageTimes part;
    const size_t count = std::min(batch, images.size() - begin);
    auto found = Lease(*this)->run(images.subspan(begin, count), &part);
    std::move(found.begin(), found.end(), std::back_inserter(faces));
    sum += part;
  }
  if (times != nullptr) *times = sum;
  return faces;
}

size_t PipelinePool::memory_bytes() const {
  size_t bytes = 0;
  for (const auto& pipeline : pipelines_) bytes += pipeline->memory_bytes();
  return bytes;
}

}  // namespace face
