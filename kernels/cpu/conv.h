// SPDX-License-Identifier: MIT
// kernels/cpu/conv.h - our own CPU convolutions: prepacked once, then run without allocating.
//
// Activations are NHWC, float32 unless ConvDesc says otherwise. One source, templated on the vector
// width, is compiled once per instruction set and chosen at run time. Each algorithm is exact up to
// rounding; which is fastest depends on shape and machine, so the caller times the candidates (see
// docs/cpu_conv.md).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace face::cpu {

/// Raised whenever the kernels' speed changes: timings of an older revision are not used.
constexpr int kConvRevision = 11;

/// What the products' factors are rounded to. Sums and epilogue are float32, and so are activations
/// in memory but for ConvDesc::bf16_input and bf16_output.
/// kBf16: Winograd, direct and tiles only; weights and windows, of Winograd the transformed ones,
/// are rounded to bfloat16.
/// kBf16x3: tiles only; each factor is the sum of two bfloat16 numbers, and of the four products
/// the three larger ones are added: errors of 2^-16 instead of 2^-8, from maps of float32.
enum class ConvPrecision { kFp32, kBf16, kBf16x3 };

/// Builds of the kernels. kAvx512Bf16 has those of kBf16 alone, kAmx those of kTiles alone, which
/// beside it only those builds have that compute them in software. kWide16OnAvx2 computes with
/// 16-lane vectors on AVX2 registers: slow, it exists so that the code of kAvx512 and kAvx512Bf16
/// can be tested on machines without AVX-512. It and kBaseline compute kBf16 by rounding in
/// software.
enum class ConvIsa { kBaseline, kAvx2, kAvx512, kAvx512Bf16, kAmx, kWide16OnAvx2 };
[[nodiscard]] const char* to_string(ConvIsa isa);
enum class ConvAlgorithm {
  kWinograd2x2,  // F(2x2, 3x3): 2.25 times fewer multiplications, weights 16/9 the size
  kWinograd2x4,  // F(2x4, 3x3): 3 times fewer, weights 24/9
  kWinograd4x4,  // F(4x4, 3x3): 4 times fewer, weights 4 times the size
  kWinograd6x6,  // F(6x6, 3x3): 5.06 times fewer, weights 64/9; float32 alone
  kDirect,       // any kernel and stride, one group; a fully connected layer is 1x1 on one pixel
  kDepthwise,    // one kernel per channel, any size and stride
  kTiles,        // as kDirect, on the CPU's matrix unit (AMX); bfloat16 alone
};
[[nodiscard]] const char* to_string(ConvAlgorithm algorithm);

/// True if the build has kernels of `precision` and `algorithm`, and this CPU and operating system
/// can execute it.
[[nodiscard]] bool supported(ConvIsa isa, ConvPrecision precision = ConvPrecision::kFp32,
                             ConvAlgorithm algorithm = ConvAlgorithm::kDirect);
/// The fastest build that this CPU supports.
[[nodiscard]] ConvIsa best_conv_isa(ConvPrecision precision = ConvPrecision::kFp32,
                                    ConvAlgorithm algorithm = ConvAlgorithm::kDirect);
/// Whether kTiles run on a matrix unit, not in software.
[[nodiscard]] inline bool has_matrix_unit() {
  return supported(ConvIsa::kAmx, ConvPrecision::kBf16, ConvAlgorithm::kTiles);
}

enum class ConvActivation { kNone, kRelu, kPrelu, kClip };

/// One convolution layer: activation(conv(input) + bias + addend).
struct ConvDesc {
  int max_batch = 1;
  int in_channels = 0, in_height = 0, in_width = 0;
  int out_channels = 0, out_height = 0, out_width = 0;
  int groups = 1;
  int kernel_h = 3, kernel_w = 3;
  int stride = 1;
  int pad_top = 1, pad_left = 1;  // below and right follow from the output's size
  /// bias has 9 rows, one per border class of kBorder9 (engine/network.h): row 3 * v + h.
  bool border_bias = false;
  bool has_addend = false;
  /// The addend has half the output's height and width; pixel (y, x) adds (y / 2, x / 2).
  bool addend_upsampled = false;
  /// The output is the 2x2 maximum, stride 2, of what is described here: out_height / 2 by
  /// out_width / 2, both even; no addend.
  bool max_pool = false;
  ConvActivation activation = ConvActivation::kNone;
  float clip_low = 0.f, clip_high = 0.f;
  /// The map lies in memory as dense NHWC bfloat16, its channels even in number: two to a float's
  /// place, the first in the lower half. kBf16 alone, the output also kBf16x3; the addend kTiles
  /// alone. The output is rounded when it is written.
  bool bf16_input = false, bf16_addend = false, bf16_output = false;
};

/// Read while the layer is made, not afterwards.
struct ConvWeights {
  const float* weights = nullptr;  // (out, in / groups, kernel_h, kernel_w)
  const float* bias = nullptr;     // (out) or, with border_bias, (9, out); null: zero
  const float* slopes = nullptr;   // kPrelu: (out)
};

/// How a layer spreads its work: run(tasks, body, context) calls body(context, task, worker) once
/// for each task in [0, tasks) and returns when all have returned; no two calls that run at the
/// same time share a worker, 0 <= worker < threads.
struct Parallel {
  using Body = void (*)(const void* context, int task, int worker);
  int threads = 1;
  void (*run)(int threads, int tasks, Body body, const void* context) = nullptr;

  template <typename F>
  void operator()(int tasks, const F& f) const {
    const Body body = [](const void* context, int task, int worker) {
      (*static_cast<const F*>(context))(task, worker);
    };
    run(threads, tasks, body, &f);
  }
};
/// On the calling thread.
[[nodiscard]] Parallel serial_parallel();
/// On an OpenMP team of `threads`.
[[nodiscard]] Parallel openmp_parallel(int threads);

/// A layer ready to run. Owns its packed weights. Threads: run() is const and reentrant as long as
/// each call has its own scratch.
class Conv {
 public:
  virtual ~Conv() = default;
  /// E.g. "winograd4x4:avx2"; "direct_bf16:avx512bf16+bf16_in_out" if the maps are bfloat16, too.
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual size_t weight_bytes() const = 0;
  /// Bytes that run() needs with a team of `threads`; 64-byte aligned, contents arbitrary.
  [[nodiscard]] virtual size_t scratch_bytes(int threads) const = 0;
  /// Whether run() has read all of its input before it writes output, which may then lie there.
  [[nodiscard]] virtual bool reads_input_first() const { return false; }
  /// Shapes: input (batch, in_h, in_w, in_c), output and addend (batch, out_h, out_w, out_c),
  /// dense; addend is null unless has_addend and may be the output. 1 <= batch <= max_batch.
  /// Maps of bfloat16 are passed as floats, too, half as many; an output of the one kind is no
  /// addend of the other.
  virtual void run(const float* input, const float* addend, float* output, int batch, void* scratch,
                   const Parallel& parallel) const = 0;
};

/// Whether `algorithm` can compute `desc`: Winograd takes 3x3, stride 1, padding 1, one group, and
/// 6x6 float32 alone; depthwise as many groups as input and output channels; direct and tiles one
/// group.
/// Winograd and tiles alone pool. Maps of bfloat16 have an even number of channels.
[[nodiscard]] bool can_compute(ConvAlgorithm algorithm, const ConvDesc& desc,
                               ConvPrecision precision = ConvPrecision::kFp32);

/// Packs the weights. Throws Error(kInvalidArgument) unless can_compute and supported.
[[nodiscard]] std::unique_ptr<Conv> make_conv(ConvAlgorithm algorithm, ConvIsa isa,
                                              const ConvDesc& desc, const ConvWeights& weights,
                                              ConvPrecision precision = ConvPrecision::kFp32);

/// A depthwise convolution and the 1x1 one of stride 1 that reads its output, as one layer: the map
/// between them exists a few pixels at a time. Addends belong to the 1x1 one, which `algorithm`,
/// kDirect or kTiles, computes in `precision`; the depthwise one computes in float32. Named
/// "depthwise_direct", "depthwise_tiles".
/// Throws Error(kInvalidArgument) if these are no such convolutions, or the build is not supported.
[[nodiscard]] std::unique_ptr<Conv> make_separable(
    ConvIsa isa, const ConvDesc& depthwise, const ConvWeights& depthwise_weights,
    const ConvDesc& pointwise, const ConvWeights& pointwise_weights,
    ConvPrecision precision = ConvPrecision::kFp32,
    ConvAlgorithm algorithm = ConvAlgorithm::kDirect);
[[nodiscard]] bool is_separable(const ConvDesc& depthwise, const ConvDesc& pointwise);

/// All algorithms that can compute `desc`.
[[nodiscard]] std::vector<ConvAlgorithm> conv_algorithms(
    const ConvDesc& desc, ConvPrecision precision = ConvPrecision::kFp32);

}  // namespace face::cpu
