// SPDX-License-Identifier: MIT
// engine/backend.h - what a device can do for the engine: run one network, or the whole way from
// pictures to faces. engine/cpu and engine/cuda implement it; callers see only this header.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/image_target.h"
#include "engine/network.h"
#include "engine/pack.h"
#include "kernels/math/types.h"

namespace face {

enum class Precision { kAuto, kFp32, kBf16, kFp16 };
[[nodiscard]] const char* to_string(Precision precision);
/// The words of parse_precision(), for help and messages.
inline constexpr const char* kPrecisionWords = "auto, fp32, bf16 or fp16";
/// Throws Error(kInvalidArgument) that names the value.
[[nodiscard]] Precision parse_precision(const std::string& text);

/// Where to run. kAuto: the first GPU, or the CPU if that cannot start.
enum class DeviceKind { kAuto, kCpu, kGpu, kAllGpus };
struct DeviceChoice {
  DeviceKind kind = DeviceKind::kAuto;
  int index = 0;  // of kGpu
};
/// The words of parse_device(), for help and messages.
inline constexpr const char* kDeviceWords = "auto, cpu, cuda, cuda:N or cuda:all";
/// Looks at the word alone, not for the device; "cuda" is "cuda:0". Throws Error(kInvalidArgument)
/// that names the value.
[[nodiscard]] DeviceChoice parse_device(const std::string& text);

struct Face {
  Detection detection;
  std::vector<float> embedding;  // raw output of the recogniser, not normalised; empty without one
};

/// Milliseconds spent on a batch, by stage.
struct StageTimes {
  double preprocess = 0;
  double detect = 0;
  double decode = 0;
  double align = 0;
  double embed = 0;

  StageTimes& operator+=(const StageTimes& other) {
    preprocess += other.preprocess;
    detect += other.detect;
    decode += other.decode;
    align += other.align;
    embed += other.embed;
    return *this;
  }
};

struct CompileOptions {
  Precision precision = Precision::kAuto;
  int max_batch = 1;
  int height = 0, width = 0;  // input size; 0: the network's own, or 640 for a detector
  int threads = 0;            // CPU: 0 takes every core this process may use
  bool use_cudnn = true;      // CUDA only: where it is installed and faster than our kernels
  PixelLayout layout = PixelLayout::kNchw;  // of Executable::run()'s input; CUDA: kNchw alone
  /// A file that keeps the timings by which implementations are chosen, so that the next start need
  /// not measure; empty: none. Usually timing_path_of() the weight file.
  std::string timing_path = {};
};
/// Where timings of a weight file's layers are kept: beside it.
[[nodiscard]] inline std::string timing_path_of(const Pack& pack) {
  return pack.path().string() + ".timings";
}

/// Time of one op in the last profiled run.
struct LayerProfile {
  std::string name;            // Op::name
  std::string implementation;  // what computes it, e.g. "jit:avx2", "winograd_f4_bf16"
  double milliseconds = 0;
  double gflop = 0;
};

/// A network made ready for one device, precision and input size. Allocates nothing in run().
/// Threads: not reentrant; one per thread.
class Executable {
 public:
  virtual ~Executable() = default;
  [[nodiscard]] virtual const Network& network() const = 0;
  [[nodiscard]] virtual Shape input_shape() const = 0;
  [[nodiscard]] virtual int max_batch() const = 0;
  [[nodiscard]] virtual Precision precision() const = 0;  // what was chosen, never kAuto
  [[nodiscard]] virtual size_t activation_bytes() const = 0;
  [[nodiscard]] virtual size_t weight_bytes() const = 0;  // own copies, beyond the mapped pack

  /// Runs `batch` inputs, 1 <= batch <= max_batch().
  /// Shapes: input (batch, 3, H, W) float32, or (batch, H, W, 3) if CompileOptions::layout says so,
  /// in the network's own normalisation (Input).
  virtual void run(const float* input, int batch) = 0;
  /// A tensor that an Output or DetectorLevel names, after run(): (batch, H, W, C) float32 in host
  /// memory, valid until the next run().
  [[nodiscard]] virtual std::span<const float> output(TensorId tensor) const = 0;
  /// What else to know about how it computes, e.g. "cuDNN 9.19.0: 31 of 55 convolutions".
  [[nodiscard]] virtual std::string notes() const { return ""; }
  /// As run(), timing each op.
  virtual std::vector<LayerProfile> profile(const float* input, int batch) = 0;
};

/// The ONNX graph's outputs after a run: name, shape, values, in the graph's order.
struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};
[[nodiscard]] std::vector<NamedArray> onnx_outputs(const Executable& executable, int batch);

struct PipelineOptions {
  Precision precision = Precision::kAuto;
  std::vector<int> det_sizes{
      640};  // squares, each a multiple of 32; their candidates share one NMS
  float score_threshold = 0.5f;
  float nms_iou = 0.4f;
  int threads = 0;
  int max_batch = 8;         // images of one run()
  int max_faces_chunk = 16;  // faces that go through the recogniser together
  bool use_cudnn = true;     // CUDA only
};

/// Pictures to faces on one device: letterbox, detector, decode, NMS, alignment, recogniser.
/// Threads: not reentrant; one per thread. Memory is allocated at construction and stays constant.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  /// Faces of each image, best score first; none is an empty vector. Planes (PixelFormat::kYcc420)
  /// are kInvalidArgument unless Backend::image_target() asks for them.
  /// REQUIRES: images.size() <= max_batch. A non-finite network output is Error(kInternal) that
  /// names network and image, never a face. `times` may be null.
  virtual std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                             StageTimes* times) = 0;
  [[nodiscard]] virtual int max_batch() const = 0;
  [[nodiscard]] virtual Precision precision() const = 0;
  [[nodiscard]] virtual size_t memory_bytes() const = 0;  // activations and own weight copies
  [[nodiscard]] virtual std::string notes() const { return ""; }  // as Executable's
  /// One more of the same, to run beside this one in another thread; they share weights. Null where
  /// one has the whole device to itself: on the CPU.
  [[nodiscard]] virtual std::unique_ptr<Pipeline> twin() const { return nullptr; }
};

/// What health answers tell about the device in use.
struct DeviceInfo {
  bool is_cuda = false;
  std::string name;     // CPU model or GPU name
  std::string driver;   // CUDA driver version; instruction set for a CPU
  std::string warning;  // why "auto" fell back to the CPU; else empty
};

/// Threads: compile(), pipeline() and image_target() may be called from any thread, one at a time.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const = 0;
  [[nodiscard]] virtual bool supports(Precision precision) const = 0;
  /// `network` must outlive the result. Errors: kInvalidArgument, kBadModel, kDevice.
  [[nodiscard]] virtual std::unique_ptr<Executable> compile(const Network& network,
                                                            const CompileOptions& options) = 0;
  /// What decoders should make for the pipelines, which take plain RGB too. Its memory is allocated
  /// by the first call.
  [[nodiscard]] virtual ImageTarget image_target() { return {}; }
  /// `pack` is kept alive by the result. Without a recogniser faces carry no embedding.
  [[nodiscard]] virtual std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack> pack,
                                                           const PipelineOptions& options) = 0;
};

/// A GPU that cannot start throws Error(kDevice) that names driver, toolkit, GPU and remedy; kAuto
/// falls back to the CPU and says why in DeviceInfo::warning. kAllGpus is Error(kInvalidArgument).
[[nodiscard]] std::unique_ptr<Backend> make_backend(const DeviceChoice& device);
/// The same, or for kAllGpus one for each GPU, at least one.
[[nodiscard]] std::vector<std::unique_ptr<Backend>> make_backends(const DeviceChoice& device);

}  // namespace face
