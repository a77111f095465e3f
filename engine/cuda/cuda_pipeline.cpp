// SPDX-License-Identifier: MIT
// Pictures to faces on one GPU: image bytes go up, faces come down, nothing else crosses the bus.
// Per bucket of the batch there is one CUDA graph from letterbox to suppression for all input
// sizes, and one from alignment to embeddings.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "engine/cuda/cuda_executable.h"
#include "engine/cuda/image_uploader.h"
#include "engine/error.h"
#include "kernels/cuda/decode.h"
#include "kernels/cuda/pixels.h"

namespace face::cuda {
namespace {

/// Device memory for the pictures of a batch; more of them go up in turns. Takes the largest
/// picture that the decoders let through (50 Mpixel).
constexpr size_t kSlab = size_t{160} << 20;
constexpr int kMaxDetSize = 4096;

void require(bool condition, const std::string& message) {
  if (!condition) throw Error(ErrorKind::kInvalidArgument, message);
}

void check_options(const PipelineOptions& o) {
  require(!o.det_sizes.empty(), "det_sizes: none given");
  require(o.det_sizes.size() * 3 <= kMaxHeadLevels, "det_sizes: more than 8 sizes");
  for (const int size : o.det_sizes)
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
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

class CudaPipeline final : public Pipeline {
 public:
  /// `first`: shares its networks' weights; null: has its own.
  CudaPipeline(const Device& device, std::shared_ptr<const Pack> pack,
               const PipelineOptions& options, const CudaPipeline* first)
      : device_(device),
        pack_(std::move(pack)),
        options_(options),
        type_(element_type(options.precision, device)),
        cudnn_(cudnn_options(options.use_cudnn, timing_path_of(*pack_))),
        stream_(make_stream()),
        uploader_(kSlab) {
    if (pack_->detector() == nullptr)
      throw Error(ErrorKind::kBadModel, pack_->path().string() + ": holds no detector");
    build_detector(*pack_->detector(), first);
    if (pack_->recogniser() != nullptr) build_recogniser(*pack_->recogniser(), first);
  }

  std::vector<std::vector<Face>> run(std::span<const ImageView> images, StageTimes* times) override;
  [[nodiscard]] int max_batch() const override { return options_.max_batch; }
  [[nodiscard]] Precision precision() const override { return precision_of(type_); }
  [[nodiscard]] std::string notes() const override {
    std::string text = "detector: " + passes_.front()->cudnn_note();
    if (recogniser_) text += "; recogniser: " + recogniser_->cudnn_note();
    return text;
  }
  [[nodiscard]] std::unique_ptr<Pipeline> twin() const override {
    make_current(device_);
    return std::make_unique<CudaPipeline>(device_, pack_, options_, this);
  }
  [[nodiscard]] size_t memory_bytes() const override {
    size_t bytes = uploader_.memory_bytes() + scratch_.bytes() + descriptors_.bytes() +
                   face_descriptors_.bytes() + embeddings_.bytes();
    for (const auto& pass : passes_) bytes += pass->activation_bytes() + pass->weight_bytes();
    if (recogniser_) bytes += recogniser_->activation_bytes() + recogniser_->weight_bytes();
    return bytes;
  }

 private:
  struct Crop {
    int image;  // of the whole batch
    AlignFace face;
    Face* result;
  };

  void build_detector(const Network& network, const CudaPipeline* first);
  void build_recogniser(const Network& network, const CudaPipeline* first);
  void enqueue_detector(int batch, cudaStream_t stream) const;
  void enqueue_recogniser(int batch, cudaStream_t stream) const;
  void check_images(std::span<const ImageView> images) const;
  void run_part(std::span<const ImageView> images, int first, std::vector<std::vector<Face>>& out,
                StageTimes& times);
  void detect(std::span<const ImageView> images, int first, StageTimes& times);
  void embed(std::vector<Crop>& crops, StageTimes& times);
  [[noreturn]] void fail(const char* network, int image) const {
    throw Error(ErrorKind::kInternal, std::string(network) + " of " + pack_->path().string() +
                                          " gave a value that is not finite for image " +
                                          std::to_string(image) + " of the batch");
  }
  void launch_and_wait(const std::map<int, GraphExec>& graphs, int batch, const char* doing) {
    check(cudaGraphLaunch(graphs.lower_bound(batch)->second.get(), stream_.get()),
          "cudaGraphLaunch", doing);
    check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize",
          std::string(doing) + ", batch " + std::to_string(batch) + ", " + device_.name);
  }

  Device device_;
  std::shared_ptr<const Pack> pack_;
  PipelineOptions options_;
  ElementType type_;
  CudnnOptions cudnn_;
  Stream stream_;
  ImageUploader uploader_;
  std::vector<ImageView> uploaded_;

  std::vector<std::unique_ptr<DeviceNetwork>> passes_;  // one per input size
  DecodeParams decode_;
  Memory scratch_;                         // decode's
  Memory host_results_;                    // pinned: faces, counts, status
  Memory host_descriptors_, descriptors_;  // LetterboxImage (passes, max_batch), then scales
  size_t scale_offset_ = 0;
  std::map<int, GraphExec> detector_graphs_;

  std::unique_ptr<DeviceNetwork> recogniser_;
  Memory host_face_descriptors_, face_descriptors_;  // AlignFace (max_faces_chunk)
  Memory embeddings_, host_embeddings_;              // float (max_faces_chunk, embedding_size)
  std::map<int, GraphExec> recogniser_graphs_;
};

void CudaPipeline::build_detector(const Network& network, const CudaPipeline* first) {
  const int max = options_.max_batch;
  for (size_t p = 0; p < options_.det_sizes.size(); ++p) {
    const int size = options_.det_sizes[p];
    passes_.push_back(first != nullptr ? first->passes_[p]->twin()
                                       : std::make_unique<DeviceNetwork>(device_, network, size,
                                                                         size, max, type_, cudnn_));
  }
  for (size_t p = 0; p < passes_.size(); ++p)
    for (const DetectorLevel& level : network.levels) {
      if (decode_.level_count == kMaxHeadLevels)
        throw Error(ErrorKind::kInvalidArgument, "det_sizes: too many sizes for this detector");
      const Shape& shape = passes_[p]->shape(level.tensor);
      HeadLevel& head = decode_.levels[decode_.level_count++];
      head = {passes_[p]->tensor(level.tensor),
              shape.height,
              shape.width,
              shape.channels,
              level.stride,
              level.anchors,
              level.score_channel,
              level.box_channel,
              level.landmark_channel,
              static_cast<int>(p),
              decode_.anchors};
      decode_.anchors += static_cast<uint32_t>(shape.height) * shape.width * level.anchors;
    }

  const size_t keys = size_t(max) * decode_.anchors * sizeof(uint64_t);
  const size_t faces = size_t(max) * kMaxCandidates * sizeof(Detection);
  scratch_ = device_memory(keys + faces + max * sizeof(uint32_t));
  decode_.keys = scratch_.as<uint64_t>();
  decode_.candidates = scratch_.as<Detection>(keys);
  decode_.counts = scratch_.as<uint32_t>(keys + faces);
  host_results_ = pinned_memory(faces + 2 * max * sizeof(int));
  decode_.faces = host_results_.as<Detection>();
  decode_.face_counts = host_results_.as<int>(faces);
  decode_.status = decode_.face_counts + max;
  decode_.max_batch = max;
  decode_.threshold = options_.score_threshold;
  decode_.nms_iou = options_.nms_iou;

  scale_offset_ = passes_.size() * max * sizeof(LetterboxImage);
  const size_t bytes = scale_offset_ + passes_.size() * max * sizeof(float);
  host_descriptors_ = pinned_memory(bytes);
  descriptors_ = device_memory(bytes);
  decode_.fit_scales = descriptors_.as<float>(scale_offset_);
  for (const int bucket : batch_buckets(max))
    detector_graphs_[bucket] =
        capture(stream_.get(), [&](cudaStream_t s) { enqueue_detector(bucket, s); });
}

void CudaPipeline::enqueue_detector(int batch, cudaStream_t stream) const {
  FACE_CUDA(cudaMemcpyAsync(descriptors_.as<char>(), host_descriptors_.as<char>(),
                            descriptors_.bytes(), cudaMemcpyHostToDevice, stream));
  const Input& input = pack_->detector()->input;
  for (size_t p = 0; p < passes_.size(); ++p) {
    FACE_CUDA(letterbox(descriptors_.as<LetterboxImage>() + p * options_.max_batch, batch,
                        options_.det_sizes[p], {input.pixel_mean, input.pixel_scale},
                        passes_[p]->input(), type_, stream));
    passes_[p]->enqueue(batch, stream);
  }
  DecodeParams params = decode_;
  params.batch = batch;
  FACE_CUDA(decode(params, type_, stream));
}

void CudaPipeline::build_recogniser(const Network& network, const CudaPipeline* first) {
  const int side = network.input.height, max = options_.max_faces_chunk;
  if (side < 1 || network.input.width != side)
    throw Error(ErrorKind::kBadModel, pack_->path().string() + ": recogniser's input is " +
                                          std::to_string(network.input.width) + "x" +
                                          std::to_string(side) + ", not a square");
  recogniser_ = first != nullptr ? first->recogniser_->twin()
                                 : std::make_unique<DeviceNetwork>(device_, network, side, side,
                                                                   max, type_, cudnn_);
  host_face_descriptors_ = pinned_memory(max * sizeof(AlignFace));
  face_descriptors_ = device_memory(max * sizeof(AlignFace));
  embeddings_ = device_memory(size_t(max) * network.embedding_size * sizeof(float));
  host_embeddings_ = pinned_memory(embeddings_.bytes());
  for (const int bucket : batch_buckets(max))
    recogniser_graphs_[bucket] =
        capture(stream_.get(), [&](cudaStream_t s) { enqueue_recogniser(bucket, s); });
}

void CudaPipeline::enqueue_recogniser(int batch, cudaStream_t stream) const {
  const Network& network = *pack_->recogniser();
  const Input& input = network.input;
  FACE_CUDA(cudaMemcpyAsync(face_descriptors_.as<char>(), host_face_descriptors_.as<char>(),
                            face_descriptors_.bytes(), cudaMemcpyHostToDevice, stream));
  FACE_CUDA(align(face_descriptors_.as<AlignFace>(), batch, input.height,
                  {input.pixel_mean, input.pixel_scale}, recogniser_->input(), type_, stream));
  recogniser_->enqueue(batch, stream);
  FACE_CUDA(to_float(recogniser_->tensor(network.outputs.front().tensor), embeddings_.as<float>(),
                     batch, network.embedding_size, type_, stream));
  FACE_CUDA(cudaMemcpyAsync(host_embeddings_.as<float>(), embeddings_.as<float>(),
                            size_t(batch) * network.embedding_size * sizeof(float),
                            cudaMemcpyDeviceToHost, stream));
}

void CudaPipeline::check_images(std::span<const ImageView> images) const {
  require(images.size() <= static_cast<size_t>(options_.max_batch),
          std::to_string(images.size()) + " images, max_batch is " +
              std::to_string(options_.max_batch));
  for (size_t i = 0; i < images.size(); ++i) {
    const std::string name = "image " + std::to_string(i) + " of the batch";
    require(images[i].width >= 1 && images[i].height >= 1 && images[i].data != nullptr,
            name + " is empty");
    if (ImageUploader::bytes_of(images[i]) > uploader_.capacity())
      throw Error(ErrorKind::kTooLarge, name + " takes more than the " +
                                            std::to_string(uploader_.capacity() >> 20) +
                                            " MiB that the GPU keeps for pictures");
  }
}

std::vector<std::vector<Face>> CudaPipeline::run(std::span<const ImageView> images,
                                                 StageTimes* times) {
  make_current(device_);
  check_images(images);
  std::vector<std::vector<Face>> faces(images.size());
  StageTimes spent;
  for (size_t first = 0; first < images.size();) {
    size_t end = first, bytes = 0;
    while (end < images.size() &&
           bytes + ImageUploader::bytes_of(images[end]) <= uploader_.capacity())
      bytes += ImageUploader::bytes_of(images[end++]);
    run_part(images.subspan(first, end - first), static_cast<int>(first), faces, spent);
    first = end;
  }
  if (times != nullptr) *times = spent;
  return faces;
}

void CudaPipeline::run_part(std::span<const ImageView> images, int first,
                            std::vector<std::vector<Face>>& out, StageTimes& times) {
  detect(images, first, times);
  std::vector<Crop> crops;
  for (size_t i = 0; i < images.size(); ++i) {
    std::vector<Face>& faces = out[first + i];
    const Detection* found = decode_.faces + i * kMaxCandidates;
    faces.reserve(decode_.face_counts[i]);
    for (int f = 0; f < decode_.face_counts[i]; ++f) {
      faces.push_back({found[f], {}});
      Crop crop{first + static_cast<int>(i), {uploaded_[i], {}}, &faces.back()};
      std::copy_n(found[f].landmarks, kLandmarks, crop.face.landmarks);
      crops.push_back(crop);
    }
  }
  if (recogniser_) embed(crops, times);
}

void CudaPipeline::detect(std::span<const ImageView> images, int first, StageTimes& times) {
  auto start = std::chrono::steady_clock::now();
  uploader_.clear();
  uploaded_.clear();
  for (const ImageView& image : images) uploaded_.push_back(uploader_.add(image, stream_.get()));
  const int batch = static_cast<int>(images.size()), max = options_.max_batch;
  for (size_t p = 0; p < passes_.size(); ++p)
    for (int i = 0; i < max; ++i) {  // slots beyond the batch repeat its last image
      const ImageView& image = uploaded_[std::min(i, batch - 1)];
      const Fit fit = fit_letterbox(image.height, image.width, options_.det_sizes[p]);
      host_descriptors_.as<LetterboxImage>()[p * max + i] = {image, fit};
      host_descriptors_.as<float>(scale_offset_)[p * max + i] = fit.scale;
    }
  times.preprocess += milliseconds_since(start);
  start = std::chrono::steady_clock::now();
  launch_and_wait(detector_graphs_, batch, "detector");
  times.detect += milliseconds_since(start);
  for (int i = 0; i < batch; ++i)
    if (decode_.status[i] != 0) fail("detector", first + i);
}

void CudaPipeline::embed(std::vector<Crop>& crops, StageTimes& times) {
  const auto start = std::chrono::steady_clock::now();
  const size_t chunk = static_cast<size_t>(options_.max_faces_chunk);
  const size_t size = static_cast<size_t>(pack_->recogniser()->embedding_size);
  for (size_t begin = 0; begin < crops.size(); begin += chunk) {
    const size_t count = std::min(chunk, crops.size() - begin);
    for (size_t i = 0; i < chunk; ++i)
      host_face_descriptors_.as<AlignFace>()[i] = crops[begin + std::min(i, count - 1)].face;
    launch_and_wait(recogniser_graphs_, static_cast<int>(count), "recogniser");
    for (size_t i = 0; i < count; ++i) {
      const std::span values(host_embeddings_.as<float>() + i * size, size);
      const bool finite =
          std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
      const bool zero = std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
      if (!finite || zero) fail("recogniser", crops[begin + i].image);
      crops[begin + i].result->embedding.assign(values.begin(), values.end());
    }
  }
  times.embed += milliseconds_since(start);
}

}  // namespace

std::unique_ptr<Pipeline> make_cuda_pipeline(const Device& device, std::shared_ptr<const Pack> pack,
                                             const PipelineOptions& options) {
  check_options(options);
  make_current(device);
  return std::make_unique<CudaPipeline>(device, std::move(pack), options, nullptr);
}

}  // namespace face::cuda
