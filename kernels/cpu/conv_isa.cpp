// SPDX-License-Identifier: MIT
// kernels/cpu/conv_isa.cpp - the float32 kernels of one instruction set; compiled once for each
// of them.
#include "kernels/cpu/conv_depthwise_inl.h"
#include "kernels/cpu/conv_direct_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_winograd_inl.h"
#include "kernels/cpu/conv_words_inl.h"

namespace face::cpu {
namespace FACE_CONV_ISA {
namespace {

float fma_loop(int iterations) {
  volatile float start = 1.f;  // known, chains would be constant, or equal and computed once
  const Vec<kWidth> factor = Vec<kWidth>{} + 0.5f, term = Vec<kWidth>{} + 1.f;
  Vec<kWidth> sum[kFmaChains];
  for (int c = 0; c < kFmaChains; ++c) sum[c] = Vec<kWidth>{} + start;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kFmaChains; ++c) sum[c] = sum[c] * factor + term;
  }
  float total = 0;
  for (int c = 0; c < kFmaChains; ++c) total += sum[c][0];
  return total;
}

}  // namespace
}  // namespace FACE_CONV_ISA

const ConvKernels& FACE_CONV_TABLE() {
  namespace isa = FACE_CONV_ISA;
  static constexpr ConvKernels kKernels = {
      isa::kLaneShape,
      isa::winograd_set<isa::Fp32Words>(),
      isa::direct_kernels<isa::Fp32Words>(),
      &isa::depthwise_row,
      &isa::fma_loop,
  };
  return kKernels;
}

}  // namespace face::cpu
