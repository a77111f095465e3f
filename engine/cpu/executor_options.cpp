// SPDX-License-Identifier: MIT
// engine/cpu/executor_options.cpp - what compile options ask for.
#include <omp.h>

#include "engine/cpu/executor.h"
#include "engine/cpu/onednn_conv.h"
#include "engine/error.h"

namespace face::cpu {
namespace {

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorKind::kInvalidArgument, "compile: " + reason);
}

}  // namespace

Shape input_shape_of(const Network& network, const CompileOptions& options) {
  constexpr int kDefaultSide = 640;
  const Input& in = network.input;
  const auto side = [](int wanted, int own) {
    if (wanted != 0) return wanted;
    return own != 0 ? own : kDefaultSide;
  };
  const Shape shape{3, side(options.height, in.height), side(options.width, in.width)};
  if (shape.height < 1 || shape.width < 1)
    refuse("input of " + std::to_string(shape.height) + "x" + std::to_string(shape.width));
  return shape;
}

int team_size(const CompileOptions& options) {
  if (options.threads < 0) refuse("threads " + std::to_string(options.threads));
  return options.threads > 0 ? options.threads : omp_get_num_procs();
}

Precision resolve_precision(Precision precision) {
  if (precision == Precision::kFp16)
    refuse("precision fp16 is for CUDA; the CPU has fp32 and bf16");
  if (precision != Precision::kAuto) return precision;
  return has_native_bf16() ? Precision::kBf16 : Precision::kFp32;
}

}  // namespace face::cpu
