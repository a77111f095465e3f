// SPDX-License-Identifier: MIT
#include "engine/cuda/cuda_executable.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "engine/error.h"

namespace face::cuda {
namespace {

class CudaExecutable final : public Executable {
 public:
  CudaExecutable(const Device& device, const Network& network, int height, int width, int max_batch,
                 ElementType type, const CudnnOptions& cudnn)
      : device_(device),
        max_batch_(max_batch),
        stream_(make_stream()),
        network_(device, network, height, width, max_batch, type, cudnn),
        input_shape_(network_.shape(network.input.tensor)) {
    const size_t in = size_t(max_batch) * input_shape_.channels * height * width;
    input_ = pinned_memory(in * sizeof(float));
    device_input_ = device_memory(in * sizeof(float));
    size_t total = 0;
    for (const TensorId t : named_tensors()) {
      outputs_[t] = total;
      total += size_t(max_batch) * pixels(t) * network_.shape(t).channels * sizeof(float);
    }
    device_output_ = device_memory(total);
    output_ = pinned_memory(total);
    for (const int bucket : batch_buckets(max_batch))
      graphs_[bucket] =
          capture(stream_.get(), [&](cudaStream_t stream) { enqueue(bucket, stream); });
  }

  [[nodiscard]] const Network& network() const override { return network_.network(); }
  [[nodiscard]] Shape input_shape() const override { return input_shape_; }
  [[nodiscard]] int max_batch() const override { return max_batch_; }
  [[nodiscard]] Precision precision() const override { return precision_of(network_.type()); }
  [[nodiscard]] size_t activation_bytes() const override {
    return network_.activation_bytes() + device_input_.bytes() + device_output_.bytes();
  }
  [[nodiscard]] size_t weight_bytes() const override { return network_.weight_bytes(); }

  void run(const float* input, int batch) override {
    make_current(device_);
    load(input, batch);
    FACE_CUDA(cudaGraphLaunch(graphs_.lower_bound(batch)->second.get(), stream_.get()));
    FACE_CUDA(cudaStreamSynchronize(stream_.get()));
  }

  [[nodiscard]] std::span<const float> output(TensorId tensor) const override {
    const auto found = outputs_.find(tensor);
    if (found == outputs_.end())
      throw Error(ErrorKind::kInvalidArgument,
                  "tensor " + std::to_string(tensor) + " is no output of the network");
    return {output_.as<float>(found->second),
            size_t(max_batch_) * pixels(tensor) * network_.shape(tensor).channels};
  }

  [[nodiscard]] std::string notes() const override { return network_.cudnn_note(); }

  /// Times what run() would launch: the batch's bucket.
  std::vector<LayerProfile> profile(const float* input, int images) override {
    make_current(device_);
    load(input, images);
    const int batch = graphs_.lower_bound(images)->first;
    enqueue_input(batch, stream_.get());
    std::vector<Event> events;
    const auto mark = [&] {
      events.push_back(make_event(true));
      FACE_CUDA(cudaEventRecord(events.back().get(), stream_.get()));
    };
    mark();
    for (size_t i = 0; i < network().ops.size(); ++i) {
      network_.enqueue_op(i, batch, stream_.get());
      mark();
    }
    enqueue_outputs(batch, stream_.get());
    FACE_CUDA(cudaStreamSynchronize(stream_.get()));
    std::vector<LayerProfile> layers;
    for (size_t i = 0; i < network().ops.size(); ++i) {
      float milliseconds = 0.f;
      FACE_CUDA(cudaEventElapsedTime(&milliseconds, events[i].get(), events[i + 1].get()));
      const Op& op = network().ops[i];
      const double gflop = 2e-9 * static_cast<double>(mac_count(op, network_.shapes())) * batch;
      layers.push_back({op.name, network_.implementation(i, batch), milliseconds, gflop});
    }
    return layers;
  }

 private:
  [[nodiscard]] std::vector<TensorId> named_tensors() const {
    std::vector<TensorId> ids;
    for (const Output& output : network().outputs) ids.push_back(output.tensor);
    for (const DetectorLevel& level : network().levels) ids.push_back(level.tensor);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  [[nodiscard]] int pixels(TensorId t) const {
    return network_.shape(t).height * network_.shape(t).width;
  }
  [[nodiscard]] size_t input_bytes(int batch) const {
    return size_t(batch) * input_shape_.channels * input_shape_.height * input_shape_.width *
           sizeof(float);
  }

  void load(const float* input, int batch) {
    if (batch < 1 || batch > max_batch_)
      throw Error(ErrorKind::kInvalidArgument,
                  "batch " + std::to_string(batch) + ", want 1 to " + std::to_string(max_batch_));
    std::memcpy(input_.as<float>(), input, input_bytes(batch));
  }

  void enqueue_input(int batch, cudaStream_t stream) const {
    FACE_CUDA(cudaMemcpyAsync(device_input_.as<float>(), input_.as<float>(), input_bytes(batch),
                              cudaMemcpyHostToDevice, stream));
    FACE_CUDA(from_nchw(device_input_.as<float>(), network_.input(), batch, input_shape_.height,
                        input_shape_.width, input_shape_.channels, network_.type(), stream));
  }

  void enqueue_outputs(int batch, cudaStream_t stream) const {
    for (const auto& [tensor, offset] : outputs_) {
      const int count = batch * pixels(tensor), channels = network_.shape(tensor).channels;
      FACE_CUDA(to_float(network_.tensor(tensor), device_output_.as<float>(offset), count, channels,
                         network_.type(), stream));
      FACE_CUDA(cudaMemcpyAsync(output_.as<float>(offset), device_output_.as<float>(offset),
                                size_t(count) * channels * sizeof(float), cudaMemcpyDeviceToHost,
                                stream));
    }
  }

  void enqueue(int batch, cudaStream_t stream) const {
    enqueue_input(batch, stream);
    network_.enqueue(batch, stream);
    enqueue_outputs(batch, stream);
  }

  Device device_;
  int max_batch_;
  Stream stream_;
  DeviceNetwork network_;
  Shape input_shape_;
  Memory input_, output_;  // pinned
  Memory device_input_, device_output_;
  std::map<TensorId, size_t> outputs_;  // byte offsets
  std::map<int, GraphExec> graphs_;     // by bucket
};

}  // namespace

ElementType element_type(Precision precision, const Device& device) {
  switch (precision) {
    case Precision::kFp32:
      return ElementType::kFloat;
    case Precision::kFp16:
      return ElementType::kHalf;
    case Precision::kAuto:
      return device.major >= 7 ? ElementType::kHalf : ElementType::kFloat;
    case Precision::kBf16:
      break;
  }
  throw Error(ErrorKind::kInvalidArgument, "precision bf16: the CUDA engine has fp16 and fp32");
}

CudnnOptions cudnn_options(bool use, const std::string& timing_path) {
  return {use, timing_path.empty() ? "" : timing_path + ".cuda"};
}

Precision precision_of(ElementType type) {
  return type == ElementType::kHalf ? Precision::kFp16 : Precision::kFp32;
}

std::unique_ptr<Executable> make_cuda_executable(const Device& device, const Network& network,
                                                 const CompileOptions& options) {
  if (options.max_batch < 1)
    throw Error(ErrorKind::kInvalidArgument,
                "max_batch: " + std::to_string(options.max_batch) + " is less than 1");
  if (options.layout != PixelLayout::kNchw)
    throw Error(ErrorKind::kInvalidArgument, "layout: CUDA takes planes alone");
  make_current(device);
  const auto side = [](int asked, int own) { return asked > 0 ? asked : own > 0 ? own : 640; };
  return std::make_unique<CudaExecutable>(
      device, network, side(options.height, network.input.height),
      side(options.width, network.input.width), options.max_batch,
      element_type(options.precision, device),
      cudnn_options(options.use_cudnn, options.timing_path));
}

}  // namespace face::cuda
