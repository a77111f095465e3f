// SPDX-License-Identifier: MIT
// kernels/cpu/conv_isa_bf16.cpp - the bfloat16 kernels of one instruction set; compiled once for
// each of them.
#include "kernels/cpu/conv_bf16_inl.h"
#include "kernels/cpu/conv_depthwise_inl.h"
#include "kernels/cpu/conv_direct_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_winograd_inl.h"

namespace face::cpu {
namespace FACE_CONV_ISA {
namespace {

float bf16_fma_loop(int iterations) {
  volatile float start = 1.f;                       // as in fma_loop()
  const Vec<kWidth> halves = Vec<kWidth>{} + 0.5f;  // a word of 0.5 and 0
  Vec<kWidth> sum[kFmaChains];
  for (int c = 0; c < kFmaChains; ++c) sum[c] = Vec<kWidth>{} + start;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kFmaChains; ++c)
      sum[c] = Bf16Words::multiply_add<kWidth>(sum[c], halves, halves);
  }
  float total = 0;
  for (int c = 0; c < kFmaChains; ++c) total += sum[c][0];
  return total;
}

}  // namespace
}  // namespace FACE_CONV_ISA

const ConvKernels& FACE_CONV_BF16_TABLE() {
  namespace isa = FACE_CONV_ISA;
  static constexpr ConvKernels kKernels = {isa::kLaneShape, isa::winograd_set<isa::Bf16Words>(),
                                           isa::direct_kernels<isa::Bf16Words>(),
                                           &isa::depthwise_row, &isa::bf16_fma_loop};
  return kKernels;
}

}  // namespace face::cpu
