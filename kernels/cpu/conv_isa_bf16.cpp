// SPDX-License-Identifier: MIT
// kernels/cpu/conv_isa_bf16.cpp - the bfloat16 kernels of one instruction set; compiled once for
// each of them.
#include "kernels/cpu/conv_bf16_inl.h"
#include "kernels/cpu/conv_depthwise_inl.h"
#include "kernels/cpu/conv_direct_inl.h"
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_winograd_inl.h"

namespace face::cpu {

const ConvKernels& FACE_CONV_BF16_TABLE() {
  namespace isa = FACE_CONV_ISA;
  static constexpr ConvKernels kKernels = {isa::kLaneShape, isa::winograd_set<isa::Bf16Words>(),
                                           isa::direct_kernels<isa::Bf16Words>(),
                                           &isa::depthwise_row};
  return kKernels;
}

}  // namespace face::cpu
