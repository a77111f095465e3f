// SPDX-License-Identifier: MIT
// kernels/cpu/conv_dispatch.cpp - which builds this CPU can run, and the way to each algorithm.
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "engine/error.h"
#include "kernels/cpu/conv_layer.h"

namespace face::cpu {

const char* to_string(ConvIsa isa) {
  switch (isa) {
    case ConvIsa::kBaseline:
      return "baseline";
    case ConvIsa::kAvx2:
      return "avx2";
    case ConvIsa::kAvx512:
      return "avx512";
    case ConvIsa::kAvx512Bf16:
      return "avx512bf16";
    case ConvIsa::kAmx:
      return "amx";
    case ConvIsa::kWide16OnAvx2:
      return "wide16";
  }
  return "?";
}

const char* to_string(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::kWinograd2x2:
      return "winograd2x2";
    case ConvAlgorithm::kWinograd2x4:
      return "winograd2x4";
    case ConvAlgorithm::kWinograd4x4:
      return "winograd4x4";
    case ConvAlgorithm::kWinograd6x6:
      return "winograd6x6";
    case ConvAlgorithm::kDirect:
      return "direct";
    case ConvAlgorithm::kDepthwise:
      return "depthwise";
    case ConvAlgorithm::kTiles:
      return "tiles";
  }
  return "?";
}

namespace {

/// Whether any build has such kernels.
bool has_precision(ConvAlgorithm algorithm, ConvPrecision precision) {
  switch (precision) {
    case ConvPrecision::kFp32:
      return algorithm != ConvAlgorithm::kTiles;
    case ConvPrecision::kBf16:
      return algorithm != ConvAlgorithm::kDepthwise && algorithm != ConvAlgorithm::kWinograd6x6;
    case ConvPrecision::kBf16x3:
      break;
  }
  return algorithm == ConvAlgorithm::kTiles;
}

}  // namespace

#if defined(__x86_64__)
namespace {

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }

/// Linux wants to be asked once per process for the registers of the matrix unit.
bool has_amx() {
  static const bool result = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    constexpr unsigned kTile = 1u << 24, kBf16 = 1u << 22;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    if ((edx & kTile) == 0 || (edx & kBf16) == 0) return false;
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of asm/prctl.h, the CPU's manual
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return result;
}

}  // namespace

bool supported(ConvIsa isa, ConvPrecision precision, ConvAlgorithm algorithm) {
  const bool bf16 = precision != ConvPrecision::kFp32, tiles = algorithm == ConvAlgorithm::kTiles;
  if (!has_precision(algorithm, precision)) return false;
  switch (isa) {
    case ConvIsa::kBaseline:
      return true;
    case ConvIsa::kAvx2:
      return !bf16 && has_avx2();
    case ConvIsa::kAvx512:
      return !bf16 && has_avx512();
    case ConvIsa::kAvx512Bf16:
      return bf16 && !tiles && has_avx512_bf16();
    case ConvIsa::kAmx:
      return tiles && has_avx512_bf16() && has_amx();
    case ConvIsa::kWide16OnAvx2:
      return has_avx2();
  }
  return false;
}

const ConvKernels& conv_kernels(ConvIsa isa, ConvPrecision precision) {
  const bool bf16 = precision == ConvPrecision::kBf16;
  switch (isa) {
    case ConvIsa::kAvx2:
      return conv_kernels_avx2();
    case ConvIsa::kAvx512:
      return conv_kernels_avx512();
    case ConvIsa::kAvx512Bf16:
      return conv_bf16_kernels_avx512bf16();
    case ConvIsa::kWide16OnAvx2:
      return bf16 ? conv_bf16_kernels_wide16() : conv_kernels_wide16();
    case ConvIsa::kAmx:  // has tile kernels alone
    case ConvIsa::kBaseline:
      break;
  }
  return bf16 ? conv_bf16_kernels_baseline() : conv_kernels_baseline();
}

const TileKernels& conv_tile_kernels(ConvIsa isa) {
  if (isa == ConvIsa::kAmx) return conv_tile_kernels_amx();
  return isa == ConvIsa::kWide16OnAvx2 ? conv_tile_kernels_wide16() : conv_tile_kernels_baseline();
}
#else
bool supported(ConvIsa isa, ConvPrecision precision, ConvAlgorithm algorithm) {
  return isa == ConvIsa::kBaseline && has_precision(algorithm, precision);
}

const ConvKernels& conv_kernels(ConvIsa, ConvPrecision precision) {
  return precision == ConvPrecision::kBf16 ? conv_bf16_kernels_baseline() : conv_kernels_baseline();
}

const TileKernels& conv_tile_kernels(ConvIsa) { return conv_tile_kernels_baseline(); }
#endif

ConvIsa best_conv_isa(ConvPrecision precision, ConvAlgorithm algorithm) {
  for (const ConvIsa isa : {ConvIsa::kAmx, ConvIsa::kAvx512Bf16, ConvIsa::kAvx512, ConvIsa::kAvx2,
                            ConvIsa::kWide16OnAvx2}) {
    if (supported(isa, precision, algorithm)) return isa;
  }
  return ConvIsa::kBaseline;
}

namespace {

/// Whether maps of bfloat16, if there are any, are such as the kernels take.
bool takes_maps(const ConvDesc& d, ConvPrecision precision) {
  if (d.bf16_input && (precision != ConvPrecision::kBf16 || d.in_channels % 2 != 0)) return false;
  if (d.bf16_addend && !d.has_addend) return false;
  const bool is_small = d.bf16_addend || d.bf16_output;
  return !is_small || (precision != ConvPrecision::kFp32 && d.out_channels % 2 == 0);
}

}  // namespace

bool can_compute(ConvAlgorithm algorithm, const ConvDesc& d, ConvPrecision precision) {
  if (!has_precision(algorithm, precision) || !takes_maps(d, precision)) return false;
  if (d.bf16_addend && algorithm != ConvAlgorithm::kTiles) return false;
  switch (algorithm) {
    case ConvAlgorithm::kDirect:
      return d.groups == 1 && !d.max_pool;
    case ConvAlgorithm::kTiles:
      return d.groups == 1 && !(d.max_pool && d.has_addend);
    case ConvAlgorithm::kDepthwise:
      return d.groups == d.in_channels && d.groups == d.out_channels && !d.max_pool;
    default:
      break;
  }
  return d.kernel_h == 3 && d.kernel_w == 3 && d.stride == 1 && d.pad_top == 1 && d.pad_left == 1 &&
         d.groups == 1 && d.out_height == d.in_height && d.out_width == d.in_width;
}

std::vector<ConvAlgorithm> conv_algorithms(const ConvDesc& desc, ConvPrecision precision) {
  std::vector<ConvAlgorithm> result;
  for (const auto algorithm :
       {ConvAlgorithm::kWinograd6x6, ConvAlgorithm::kWinograd4x4, ConvAlgorithm::kWinograd2x4,
        ConvAlgorithm::kWinograd2x2, ConvAlgorithm::kTiles, ConvAlgorithm::kDirect,
        ConvAlgorithm::kDepthwise}) {
    if (can_compute(algorithm, desc, precision)) result.push_back(algorithm);
  }
  return result;
}

namespace {

void check_supported(ConvIsa isa, ConvPrecision precision,
                     ConvAlgorithm algorithm = ConvAlgorithm::kDirect) {
  if (!supported(isa, precision, algorithm)) {
    throw Error(ErrorKind::kInvalidArgument,
                std::string("convolution: this CPU has no ") + to_string(isa));
  }
}

}  // namespace

std::unique_ptr<Conv> make_conv(ConvAlgorithm algorithm, ConvIsa isa, const ConvDesc& desc,
                                const ConvWeights& weights, ConvPrecision precision) {
  check_supported(isa, precision, algorithm);
  if (!can_compute(algorithm, desc, precision)) {
    throw Error(ErrorKind::kInvalidArgument,
                std::string("convolution: ") + to_string(algorithm) + " cannot compute this layer");
  }
  if (algorithm == ConvAlgorithm::kDirect) return make_direct(isa, desc, weights, precision);
  if (algorithm == ConvAlgorithm::kTiles) return make_tiles(isa, desc, weights, precision);
  if (algorithm == ConvAlgorithm::kDepthwise) return make_depthwise(isa, desc, weights);
  return make_winograd(algorithm, isa, desc, weights, precision);
}

bool is_separable(const ConvDesc& depthwise, const ConvDesc& d) {
  const bool fits = depthwise.out_channels == d.in_channels &&
                    depthwise.out_height == d.in_height && depthwise.out_width == d.in_width &&
                    depthwise.max_batch == d.max_batch;
  const bool pointwise = d.kernel_h == 1 && d.kernel_w == 1 && d.stride == 1 && d.pad_top == 0 &&
                         d.pad_left == 0 && d.out_height == d.in_height &&
                         d.out_width == d.in_width;
  return fits && pointwise && !depthwise.has_addend &&
         can_compute(ConvAlgorithm::kDepthwise, depthwise) &&
         can_compute(ConvAlgorithm::kDirect, d);
}

std::unique_ptr<Conv> make_separable(ConvIsa isa, const ConvDesc& depthwise,
                                     const ConvWeights& depthwise_weights,
                                     const ConvDesc& pointwise,
                                     const ConvWeights& pointwise_weights, ConvPrecision precision,
                                     ConvAlgorithm algorithm) {
  check_supported(isa, precision, algorithm);
  if (!is_separable(depthwise, pointwise)) {
    throw Error(ErrorKind::kInvalidArgument,
                "convolution: these are no depthwise and 1x1 convolution, one after the other");
  }
  if (algorithm == ConvAlgorithm::kTiles)
    return make_tiles(isa, depthwise, depthwise_weights, pointwise, pointwise_weights, precision);
  return make_direct(isa, depthwise, depthwise_weights, pointwise, pointwise_weights, precision);
}

}  // namespace face::cpu
