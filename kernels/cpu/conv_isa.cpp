// SPDX-License-Identifier: MIT
// kernels/cpu/conv_isa.cpp - the kernels of one instruction set; compiled once for each of them.
#include "kernels/cpu/conv_plan.h"
#include "kernels/cpu/conv_winograd_inl.h"

namespace face::cpu {

const ConvKernels& FACE_CONV_TABLE() {
  namespace isa = FACE_CONV_ISA;
  static constexpr ConvKernels kKernels = {
      isa::kWidth,
      isa::kWidth == 16 ? 4 : 3,
      isa::kWidth == 16,
      isa::winograd_kernels<2, 2>(),
      isa::winograd_kernels<2, 4>(),
      isa::winograd_kernels<4, 4>(),
  };
  return kKernels;
}

}  // namespace face::cpu
