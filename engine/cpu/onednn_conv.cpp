// SPDX-License-Identifier: MIT
#include "engine/cpu/onednn_conv.h"

#include <omp.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "engine/cpu/onednn_compat.h"
#include "engine/cpu/pointwise.h"
#include "engine/error.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/conv_memory.h"

namespace face::cpu {
namespace {

using dnnl::memory;
using PrimitiveDesc = dnnl::convolution_forward::primitive_desc;

/// Sets the calling thread's OpenMP team size for a scope.
class TeamSize {
 public:
  explicit TeamSize(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  TeamSize(const TeamSize&) = delete;
  TeamSize& operator=(const TeamSize&) = delete;
  ~TeamSize() { omp_set_num_threads(before_); }

 private:
  int before_;
};

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// What the primitive does besides the convolution itself.
enum class Fusion { kAll, kBias, kNothing };

memory::dims weight_dims(const ConvDesc& d) {
  const int in = d.in_channels / d.groups, out = d.out_channels / d.groups;
  if (d.groups == 1) return {out, in, d.kernel_h, d.kernel_w};
  return {d.groups, out, in, d.kernel_h, d.kernel_w};
}

dnnl::post_ops post_ops(const ConvDesc& d) {
  dnnl::post_ops ops;
  if (d.has_addend) ops.append_sum(1.f);
  if (d.activation == ConvActivation::kRelu)
    onednn::append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
  if (d.activation == ConvActivation::kClip)
    onednn::append_eltwise(ops, dnnl::algorithm::eltwise_clip, d.clip_low, d.clip_high);
  if (d.activation == ConvActivation::kPrelu) ops.append_prelu(1 << 1);
  return ops;
}

onednn::ConvSpec conv_spec(const ConvProblem& p, Fusion fusion, bool bf16) {
  const ConvDesc& d = p.desc;
  const auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto f32 = memory::data_type::f32;
  const auto nhwc = memory::format_tag::nhwc;
  onednn::ConvSpec s;
  s.input = memory::desc({1, d.in_channels, d.in_height, d.in_width}, type, nhwc);
  s.weights = memory::desc(weight_dims(d), type, memory::format_tag::any);
  s.output = memory::desc({1, d.out_channels, d.out_height, d.out_width}, f32, nhwc);
  if (fusion != Fusion::kNothing && p.weights.bias != nullptr)
    s.bias = memory::desc({d.out_channels}, f32, memory::format_tag::x);
  s.strides = {d.stride, p.stride_w};
  s.pad_begin = {d.pad_top, d.pad_left};
  s.pad_end = {(d.out_height - 1) * d.stride + d.kernel_h - d.in_height - d.pad_top,
               (d.out_width - 1) * p.stride_w + d.kernel_w - d.in_width - d.pad_left};
  s.attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (fusion == Fusion::kAll) s.attributes.set_post_ops(post_ops(d));
  return s;
}

/// The fusions worth trying, best first. A border bias or an upsampled addend comes in between.
std::vector<Fusion> fusions(const ConvDesc& d) {
  if (d.border_bias) return {Fusion::kNothing};
  if (d.addend_upsampled) return {Fusion::kBias};
  return {Fusion::kAll, Fusion::kBias};
}

class OnednnConv final : public Layer {
 public:
  OnednnConv(const ConvProblem& problem, Fusion fusion, bool bf16, int threads,
             const PrimitiveDesc& pd);

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] size_t weight_bytes() const override { return weight_bytes_; }
  [[nodiscard]] size_t scratch_bytes(int) const override {
    return input_bytes_ + sums_bytes_ + scratch_bytes_;
  }
  void run(const float* input, const float* addend, float* output, int batch, void* scratch,
           const Parallel& parallel) const override;

 private:
  void pack(const PrimitiveDesc& pd, const float* weights);
  void bind(const PrimitiveDesc& pd);
  const void* converted(const float* input, void* scratch, const Parallel& parallel) const;
  void execute(const void* input, float* output, void* scratch) const;

  ConvDesc d_;
  Fusion fusion_;
  bool bf16_;
  int threads_;
  std::string name_;
  size_t weight_bytes_ = 0;
  size_t input_bytes_ = 0, sums_bytes_ = 0, scratch_bytes_ = 0;  // the scratch, in this order
  size_t in_floats_, out_floats_;
  AlignedFloats packed_;
  std::vector<float> bias_, slopes_;
  std::optional<Pointwise> finish_;
  mutable dnnl::stream stream_;
  dnnl::convolution_forward primitive_;
  // Handles are set before each execution; run() is therefore not reentrant.
  mutable memory input_memory_, output_memory_, scratch_memory_;
  std::unordered_map<int, memory> arguments_;
};

OnednnConv::OnednnConv(const ConvProblem& problem, Fusion fusion, bool bf16, int threads,
                       const PrimitiveDesc& pd)
    : d_(problem.desc),
      fusion_(fusion),
      bf16_(bf16),
      threads_(threads),
      name_(std::string("onednn:") + pd.impl_info_str() + (bf16 ? ":bf16" : "")),
      scratch_bytes_(pd.scratchpad_desc().get_size()),
      in_floats_(size_t(d_.in_height) * d_.in_width * d_.in_channels),
      out_floats_(size_t(d_.out_height) * d_.out_width * d_.out_channels),
      stream_(cpu_engine()),
      primitive_(pd) {
  const ConvWeights& w = problem.weights;
  if (bf16_) input_bytes_ = round_to_line((in_floats_ + 1) / 2) * sizeof(float);
  if (fusion_ != Fusion::kNothing && w.bias != nullptr)
    bias_.assign(w.bias, w.bias + d_.out_channels);
  if (w.slopes != nullptr) slopes_.assign(w.slopes, w.slopes + d_.out_channels);
  if (fusion_ != Fusion::kAll) {
    const ConvWeights rest{nullptr, fusion_ == Fusion::kBias ? nullptr : w.bias, w.slopes};
    finish_.emplace(d_, rest, nullptr, false);
    if (d_.has_addend) sums_bytes_ = round_to_line(out_floats_ * d_.max_batch) * sizeof(float);
  }
  pack(pd, w.weights);
  bind(pd);
}

void OnednnConv::pack(const PrimitiveDesc& pd, const float* weights) {
  const auto plain = d_.groups == 1 ? memory::format_tag::oihw : memory::format_tag::goihw;
  memory from({weight_dims(d_), memory::data_type::f32, plain}, cpu_engine(),
              const_cast<float*>(weights));  // read only
  weight_bytes_ = pd.weights_desc().get_size();
  packed_ = aligned_zeros((weight_bytes_ + 3) / 4);
  memory to(pd.weights_desc(), cpu_engine(), packed_.get());
  dnnl::reorder(from, to).execute(stream_, from, to);
  stream_.wait();
}

void OnednnConv::bind(const PrimitiveDesc& pd) {
  input_memory_ = memory(pd.src_desc(), cpu_engine(), nullptr);
  output_memory_ = memory(pd.dst_desc(), cpu_engine(), nullptr);
  scratch_memory_ = memory(pd.scratchpad_desc(), cpu_engine(), nullptr);
  arguments_ = {{DNNL_ARG_SRC, input_memory_},
                {DNNL_ARG_DST, output_memory_},
                {DNNL_ARG_SCRATCHPAD, scratch_memory_},
                {DNNL_ARG_WEIGHTS, memory(pd.weights_desc(), cpu_engine(), packed_.get())}};
  if (!bias_.empty())
    arguments_[DNNL_ARG_BIAS] = memory(pd.bias_desc(), cpu_engine(), bias_.data());
  if (fusion_ == Fusion::kAll && d_.activation == ConvActivation::kPrelu) {
    const memory::desc slopes({d_.out_channels}, memory::data_type::f32, memory::format_tag::x);
    arguments_[DNNL_ARG_ATTR_MULTIPLE_POST_OP(d_.has_addend ? 1 : 0) | DNNL_ARG_WEIGHTS] =
        memory(slopes, cpu_engine(), slopes_.data());
  }
}

const void* OnednnConv::converted(const float* input, void* scratch,
                                  const Parallel& parallel) const {
  if (!bf16_) return input;
  auto* half = static_cast<uint16_t*>(scratch);
  const size_t row = size_t(d_.in_width) * d_.in_channels;
  parallel(d_.in_height, [&](int y, int) {
    for (size_t i = y * row; i < (y + 1) * row; ++i) half[i] = to_bf16(input[i]);
  });
  return half;
}

void OnednnConv::execute(const void* input, float* output, void* scratch) const {
  input_memory_.set_data_handle(const_cast<void*>(input));  // read only
  output_memory_.set_data_handle(output);
  scratch_memory_.set_data_handle(scratch);
  primitive_.execute(stream_, arguments_);
}

void OnednnConv::run(const float* input, const float* addend, float* output, int batch,
                     void* scratch, const Parallel& parallel) const {
  const TeamSize team(threads_);
  auto* sums = reinterpret_cast<float*>(static_cast<char*>(scratch) + input_bytes_);
  auto* own_scratch = reinterpret_cast<char*>(sums) + sums_bytes_;
  float* target = finish_ && addend == output ? sums : output;
  for (int i = 0; i < batch; ++i) {
    float* out = target + i * out_floats_;
    if (addend != nullptr && !finish_ && addend != output)
      std::copy_n(addend + i * out_floats_, out_floats_, out);
    execute(converted(input + i * in_floats_, scratch, parallel), out, own_scratch);
  }
  stream_.wait();
  if (finish_) finish_->run(target, addend, output, batch, nullptr, parallel);
}

constexpr std::pair<dnnl::cpu_isa, const char*> kIsaNames[] = {
    {dnnl::cpu_isa::sse41, "sse41"},
    {dnnl::cpu_isa::avx2, "avx2"},
    {dnnl::cpu_isa::avx512_core, "avx512"},
    {dnnl::cpu_isa::avx512_core_vnni, "avx512_vnni"},
    {dnnl::cpu_isa::avx512_core_bf16, "avx512_bf16"},
    {dnnl::cpu_isa::avx512_core_amx, "amx"}};

/// Each value of cpu_isa has the bits of those it extends.
bool includes(dnnl::cpu_isa isa) {
  static const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (effective & static_cast<unsigned>(isa)) == static_cast<unsigned>(isa);
}

}  // namespace

std::unique_ptr<Layer> make_onednn_conv(const ConvProblem& problem, bool bf16, int threads) {
  const TeamSize team(threads);
  for (const Fusion fusion : fusions(problem.desc)) {
    const auto pd = onednn::find_convolution(cpu_engine(), conv_spec(problem, fusion, bf16));
    if (pd) return std::make_unique<OnednnConv>(problem, fusion, bf16, threads, *pd);
  }
  return nullptr;
}

bool has_native_bf16() { return includes(dnnl::cpu_isa::avx512_core_bf16); }

const char* onednn_isa() {
  const char* best = "generic";
  for (const auto& [isa, name] : kIsaNames)
    if (includes(isa)) best = name;
  return best;
}

}  // namespace face::cpu
