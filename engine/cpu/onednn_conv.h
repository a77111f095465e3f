// SPDX-License-Identifier: MIT
// engine/cpu/onednn_conv.h - convolutions by oneDNN, one image at a time, so that an image's answer
// does not depend on those beside it.
#pragma once

#include <memory>

#include "engine/cpu/layer.h"

namespace face::cpu {

/// A oneDNN primitive for `problem` with what it can fuse; the rest follows in a pass of its own.
/// bf16: multiplies bfloat16 (natively; input converted into the scratch), accumulates float32.
/// Returns null if oneDNN has only reference or GEMM implementations for it.
/// Threads: `threads` is the team the primitive is built for; run() wants the same.
[[nodiscard]] std::unique_ptr<Layer> make_onednn_conv(const ConvProblem& problem, bool bf16,
                                                      int threads);

/// Whether this CPU multiplies bfloat16 (AVX512_BF16 or AMX) and oneDNN makes use of it.
[[nodiscard]] bool has_native_bf16();

/// Instruction set that oneDNN generates code for, e.g. "avx2".
[[nodiscard]] const char* onednn_isa();

}  // namespace face::cpu
