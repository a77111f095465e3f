// SPDX-License-Identifier: MIT
#include "engine/cpu/onednn_compat.h"

#include <string>
#include <string_view>

namespace face::cpu::onednn {
namespace {

using Conv = dnnl::convolution_forward;

bool is_slow(std::string_view implementation) {
  return implementation.find("ref") != std::string_view::npos ||
         implementation.find("gemm:") != std::string_view::npos;
}

std::optional<Conv::primitive_desc> first_fast(Conv::primitive_desc found) {
  if (found.get(true) == nullptr) return std::nullopt;
  while (is_slow(found.impl_info_str()))
    if (!found.next_impl()) return std::nullopt;
  return found;
}

}  // namespace

#if DNNL_VERSION_MAJOR >= 3

std::optional<Conv::primitive_desc> find_convolution(const dnnl::engine& engine,
                                                     const ConvSpec& s) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  if (s.bias.get_ndims() == 0) {
    return first_fast({engine, kind, algorithm, s.input, s.weights, s.output, s.strides,
                       s.pad_begin, s.pad_end, s.attributes, true});
  }
  return first_fast({engine, kind, algorithm, s.input, s.weights, s.bias, s.output, s.strides,
                     s.pad_begin, s.pad_end, s.attributes, true});
}

#else

// next_impl() of 2.x still reads the descriptor it was made from: it has to outlive the search.
std::optional<Conv::primitive_desc> find_convolution(const dnnl::engine& engine,
                                                     const ConvSpec& s) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  if (s.bias.data.ndims == 0) {
    const Conv::desc desc(kind, algorithm, s.input, s.weights, s.output, s.strides, s.pad_begin,
                          s.pad_end);
    return first_fast({desc, s.attributes, engine, true});
  }
  const Conv::desc desc(kind, algorithm, s.input, s.weights, s.bias, s.output, s.strides,
                        s.pad_begin, s.pad_end);
  return first_fast({desc, s.attributes, engine, true});
}

#endif

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.f, algorithm, alpha, beta);
#endif
}

const char* version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

}  // namespace face::cpu::onednn
