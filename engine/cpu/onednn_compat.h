// SPDX-License-Identifier: MIT
// engine/cpu/onednn_compat.h - the calls that differ between oneDNN 2.x and 3.x. Nothing else in
// the project looks at oneDNN's version.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>

namespace face::cpu::onednn {

/// Everything a convolution primitive is made from.
struct ConvSpec {
  dnnl::memory::desc input, weights, bias, output;  // bias may be empty
  dnnl::memory::dims strides, pad_begin, pad_end;
  dnnl::primitive_attr attributes;
};

/// The first implementation, in oneDNN's order of preference, that is neither a reference nor a
/// GEMM one (both slow); none if there is no such implementation.
[[nodiscard]] std::optional<dnnl::convolution_forward::primitive_desc> find_convolution(
    const dnnl::engine& engine, const ConvSpec& spec);

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta);

/// "2.6.3", of the library that runs.
[[nodiscard]] const char* version();

}  // namespace face::cpu::onednn
