// SPDX-License-Identifier: MIT
#include "engine/face_engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace face {
namespace {

void add(StageTimes& sum, const StageTimes& part) {
  sum.preprocess += part.preprocess;
  sum.detect += part.detect;
  sum.decode += part.decode;
  sum.align += part.align;
  sum.embed += part.embed;
}

}  // namespace

FaceEngine::FaceEngine(std::shared_ptr<const Pack> pack, const EngineOptions& options)
    : pack_(std::move(pack)),
      backend_(make_backend(options.device)),
      pipeline_(backend_->pipeline(pack_, options.pipeline)) {
  const std::vector<uint8_t> grey(size_t(3) * 64 * 64, 128);
  const ImageView image{grey.data(), 64, 64, 3 * 64};
  (void)pipeline_->run({&image, 1}, nullptr);
}

std::vector<std::vector<Face>> FaceEngine::run(std::span<const ImageView> images,
                                               StageTimes* times) {
  std::vector<std::vector<Face>> faces;
  faces.reserve(images.size());
  StageTimes sum;
  const size_t batch = static_cast<size_t>(pipeline_->max_batch());
  for (size_t begin = 0; begin < images.size(); begin += batch) {
    StageTimes part;
    const size_t count = std::min(batch, images.size() - begin);
    auto found = pipeline_->run(images.subspan(begin, count), &part);
    std::move(found.begin(), found.end(), std::back_inserter(faces));
    add(sum, part);
  }
  if (times != nullptr) *times = sum;
  return faces;
}

}  // namespace face
