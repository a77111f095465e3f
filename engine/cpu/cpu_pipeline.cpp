// SPDX-License-Identifier: MIT
#include "engine/cpu/cpu_pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <utility>

#include "engine/cpu/detector_pass.h"
#include "engine/error.h"
#include "kernels/cpu/align.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/letterbox.h"
#include "kernels/cpu/nms.h"

namespace face {
namespace {

constexpr int kMaxDetSize = 4096;

/// Adds up the milliseconds between calls.
class Stopwatch {
 public:
  void add_to(double& milliseconds) {
    const auto now = std::chrono::steady_clock::now();
    milliseconds += std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void require(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorKind::kInvalidArgument, message);
}

void check(const PipelineOptions& o) {
  require(!o.det_sizes.empty(), "det_sizes: none given");
  for (int size : o.det_sizes)
    require(size >= 32 && size <= kMaxDetSize && size % 32 == 0,
            "det_sizes: " + std::to_string(size) + " is not a multiple of 32 up to " +
                std::to_string(kMaxDetSize));
  const auto is_share = [](float v) { return v >= 0.f && v <= 1.f; };
  require(is_share(o.score_threshold),
          "score_threshold: " + std::to_string(o.score_threshold) + " is not in [0, 1]");
  require(is_share(o.nms_iou), "nms_iou: " + std::to_string(o.nms_iou) + " is not in [0, 1]");
  require(o.max_batch >= 1, "max_batch: " + std::to_string(o.max_batch) + " is less than 1");
  require(o.max_faces_chunk >= 1,
          "max_faces_chunk: " + std::to_string(o.max_faces_chunk) + " is less than 1");
  require(o.threads >= 0, "threads: " + std::to_string(o.threads) + " is negative");
}

int thread_count(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// "detector det_10g.onnx", for messages.
std::string describe(const Pack& pack, NetworkRole role) {
  std::string text = role == NetworkRole::kDetector ? "detector" : "recogniser";
  for (const Source& source : pack.provenance().sources)
    if (source.role == role) text += " " + source.file_name;
  return text;
}

/// Whether an embedding says anything: finite numbers, not all of them zero.
bool is_usable(std::span<const float> embedding) {
  float largest = 0.f;
  for (float v : embedding) {
    if (!std::isfinite(v)) return false;
    largest = std::max(largest, std::fabs(v));
  }
  return largest > 0.f;
}

class CpuPipeline final : public Pipeline {
 public:
  CpuPipeline(Backend& backend, std::shared_ptr<const Pack> pack, const PipelineOptions& options);

  std::vector<std::vector<Face>> run(std::span<const ImageView> images, StageTimes* times) override;
  [[nodiscard]] int max_batch() const override { return options_.max_batch; }
  [[nodiscard]] Precision precision() const override {
    return recogniser_ != nullptr ? recogniser_->precision()
                                  : passes_.front().executable().precision();
  }
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  /// What a thread needs for itself.
  struct Worker {
    std::vector<cpu::Letterbox> letterboxes;  // one per pass
    cpu::Nms nms{kMaxCandidates};
    cpu::Align align;
  };
  /// What an image needs between the steps.
  struct Slot {
    cpu::Candidates candidates{kMaxCandidates};
    std::vector<Detection> faces;
    bool finite = true;
  };
  struct Crop {
    int image;
    Face* face;
  };

  void compile(Backend& backend);
  void make_workers();
  void check_images(std::span<const ImageView> images) const;
  void detect(std::span<const ImageView> images, StageTimes& times);
  void suppress(int batch);
  void embed(std::span<const ImageView> images, std::vector<std::vector<Face>>& faces,
             StageTimes& times);
  void embed_chunk(std::span<const ImageView> images, std::span<const Crop> crops,
                   StageTimes& times);
  [[nodiscard]] cpu::InputImage crop_input(size_t index);
  [[nodiscard]] std::span<const float> embedding(size_t index) const;
  [[noreturn]] void fail(NetworkRole role, int image) const;

  std::shared_ptr<const Pack> pack_;
  PipelineOptions options_;
  cpu::Parallel parallel_;
  std::vector<DetectorPass> passes_;
  std::unique_ptr<Executable> recogniser_;  // may be null
  Normalisation crop_normalisation_;
  std::vector<float> crop_input_;  // (max_faces_chunk, side, side, 3)
  std::vector<Worker> workers_;
  std::vector<Slot> slots_;
  std::vector<Crop> crops_;
};

CpuPipeline::CpuPipeline(Backend& backend, std::shared_ptr<const Pack> pack,
                         const PipelineOptions& options)
    : pack_(std::move(pack)), options_(options) {
  check(options_);
  options_.threads = thread_count(options_.threads);
  parallel_ = cpu::openmp_parallel(options_.threads);
  compile(backend);
  make_workers();
  slots_ = std::vector<Slot>(options_.max_batch);
  for (Slot& slot : slots_) slot.faces.reserve(kMaxCandidates);
  if (recogniser_ == nullptr) return;
  recogniser_->run(crop_input_.data(), 1);
  if (!is_usable(embedding(0)))
    throw Error(ErrorKind::kInternal,
                describe(*pack_, NetworkRole::kRecogniser) + " gave no finite embedding at start");
}

void CpuPipeline::compile(Backend& backend) {
  if (pack_->detector() == nullptr)
    throw Error(ErrorKind::kBadModel, pack_->path().string() + ": holds no detector");
  // In bf16, detectors miss the agreement with the reference that is asked for: SCRFD-500M's boxes
  // by a little, and near-ties between anchors flip. They stay in fp32; see docs/precision.md.
  CompileOptions compile{.precision = Precision::kFp32,
                         .max_batch = options_.max_batch,
                         .threads = options_.threads,
                         .use_cudnn = options_.use_cudnn,
                         .layout = PixelLayout::kNhwc,
                         .timing_path = timing_path_of(*pack_)};
  for (int size : options_.det_sizes) {
    compile.height = compile.width = size;
    const uint32_t first = passes_.empty() ? 0 : passes_.back().end_index();
    passes_.emplace_back(backend.compile(*pack_->detector(), compile), options_.max_batch, first);
  }
  const Network* network = pack_->recogniser();
  if (network == nullptr) return;
  const int side = network->input.height;
  if (side < 1 || network->input.width != side)
    throw Error(ErrorKind::kBadModel, pack_->path().string() + ": recogniser's input is " +
                                          std::to_string(network->input.width) + "x" +
                                          std::to_string(side) + ", not a square");
  compile.height = compile.width = side;
  compile.max_batch = options_.max_faces_chunk;
  compile.precision = options_.precision;
  recogniser_ = backend.compile(*network, compile);
  crop_normalisation_ = {network->input.pixel_mean, network->input.pixel_scale};
  crop_input_.resize(size_t(options_.max_faces_chunk) * 3 * side * side);
}

void CpuPipeline::make_workers() {
  const int side = recogniser_ == nullptr ? 1 : recogniser_->input_shape().height;
  for (int i = 0; i < options_.threads; ++i) {
    Worker worker{.letterboxes = {}, .align = cpu::Align(side)};
    for (const DetectorPass& pass : passes_) worker.letterboxes.emplace_back(pass.size());
    workers_.push_back(std::move(worker));
  }
}

size_t CpuPipeline::memory_bytes() const {
  size_t bytes = crop_input_.size() * sizeof(float);
  bytes += slots_.size() * kMaxCandidates * (2 * sizeof(cpu::Candidate) + sizeof(Detection));
  for (const DetectorPass& pass : passes_)
    bytes += pass.input_bytes() + pass.executable().activation_bytes() +
             pass.executable().weight_bytes();
  if (recogniser_ != nullptr)
    bytes += recogniser_->activation_bytes() + recogniser_->weight_bytes();
  return bytes;
}

void CpuPipeline::fail(NetworkRole role, int image) const {
  throw Error(ErrorKind::kInternal, describe(*pack_, role) +
                                        " gave a value that is not finite for image " +
                                        std::to_string(image) + " of the batch");
}

void CpuPipeline::check_images(std::span<const ImageView> images) const {
  require(images.size() <= static_cast<size_t>(options_.max_batch),
          std::to_string(images.size()) + " images, max_batch is " +
              std::to_string(options_.max_batch));
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string name = "image " + std::to_string(i) + " of the batch ";
    require(images[i].width >= 1 && images[i].height >= 1 && images[i].data != nullptr,
            name + "is empty");
    require(images[i].format == PixelFormat::kRgb, name + "is not RGB");
  }
}

std::vector<std::vector<Face>> CpuPipeline::run(std::span<const ImageView> images,
                                                StageTimes* times) {
  check_images(images);
  std::vector<std::vector<Face>> faces(images.size());
  StageTimes spent;
  if (!images.empty()) {
    detect(images, spent);
    for (size_t i = 0; i < images.size(); ++i) {
      faces[i].reserve(slots_[i].faces.size());
      for (const Detection& d : slots_[i].faces) faces[i].push_back({d, {}});
    }
    if (recogniser_ != nullptr) embed(images, faces, spent);
  }
  if (times != nullptr) *times = spent;
  return faces;
}

void CpuPipeline::detect(std::span<const ImageView> images, StageTimes& times) {
  const int batch = static_cast<int>(images.size());
  for (int i = 0; i < batch; ++i) {
    slots_[i].candidates.clear();
    slots_[i].finite = true;
  }
  Stopwatch watch;
  for (size_t p = 0; p < passes_.size(); ++p) {
    DetectorPass& pass = passes_[p];
    parallel_(batch,
              [&](int i, int worker) { pass.draw(workers_[worker].letterboxes[p], images[i], i); });
    watch.add_to(times.preprocess);
    pass.run(batch);
    watch.add_to(times.detect);
    parallel_(batch, [&](int i, int) {
      Slot& slot = slots_[i];
      slot.finite = slot.finite && pass.decode(i, options_.score_threshold, slot.candidates);
    });
    watch.add_to(times.decode);
  }
  suppress(batch);
  watch.add_to(times.decode);
}

void CpuPipeline::suppress(int batch) {
  for (int i = 0; i < batch; ++i)
    if (!slots_[i].finite) fail(NetworkRole::kDetector, i);
  parallel_(batch, [&](int i, int worker) {
    Slot& slot = slots_[i];
    workers_[worker].nms.run(slot.candidates.sorted(), options_.nms_iou, slot.faces);
  });
}

void CpuPipeline::embed(std::span<const ImageView> images, std::vector<std::vector<Face>>& faces,
                        StageTimes& times) {
  crops_.clear();
  for (size_t i = 0; i < faces.size(); ++i)
    for (Face& face : faces[i]) crops_.push_back({static_cast<int>(i), &face});
  const size_t chunk = static_cast<size_t>(options_.max_faces_chunk);
  for (size_t begin = 0; begin < crops_.size(); begin += chunk) {
    const size_t count = std::min(chunk, crops_.size() - begin);
    embed_chunk(images, std::span(crops_).subspan(begin, count), times);
  }
}

void CpuPipeline::embed_chunk(std::span<const ImageView> images, std::span<const Crop> crops,
                              StageTimes& times) {
  Stopwatch watch;
  parallel_(static_cast<int>(crops.size()), [&](int i, int worker) {
    const Crop& crop = crops[i];
    workers_[worker].align.run(images[crop.image], crop.face->detection.landmarks,
                               crop_normalisation_, crop_input(i));
  });
  watch.add_to(times.align);
  recogniser_->run(crop_input_.data(), static_cast<int>(crops.size()));
  for (size_t i = 0; i < crops.size(); ++i) {
    const std::span<const float> values = embedding(i);
    if (!is_usable(values)) fail(NetworkRole::kRecogniser, crops[i].image);
    crops[i].face->embedding.assign(values.begin(), values.end());
  }
  watch.add_to(times.embed);
}

cpu::InputImage CpuPipeline::crop_input(size_t index) {
  const int side = recogniser_->input_shape().height;
  return {crop_input_.data() + index * 3 * side * side, side, side, PixelLayout::kNhwc};
}

std::span<const float> CpuPipeline::embedding(size_t index) const {
  const Network& network = recogniser_->network();
  const size_t size = static_cast<size_t>(network.embedding_size);
  return recogniser_->output(network.outputs.front().tensor).subspan(index * size, size);
}

}  // namespace

std::unique_ptr<Pipeline> make_cpu_pipeline(Backend& backend, std::shared_ptr<const Pack> pack,
                                            const PipelineOptions& options) {
  return std::make_unique<CpuPipeline>(backend, std::move(pack), options);
}

}  // namespace face
