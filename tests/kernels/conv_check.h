// SPDX-License-Identifier: MIT
// tests/kernels/conv_check.h - runs one implementation of a layer on guarded buffers and holds it
// to the float64 reference.
#pragma once

#include <gtest/gtest.h>

#include "tests/kernels/conv_reference.h"
#include "tests/support/guarded.h"

namespace face::test {

/// Relative L2 error that rounding to bfloat16 may cause: both factors of each product are rounded
/// to 8 bits, by 2^-7 / sqrt(12) of their exponent's power of two, which on average over mantissas
/// is 0.74 of the number. Half as much again is allowed: few outputs of a small layer may all be
/// unlucky.
inline double bf16_tolerance() {
  return 1.5 * std::sqrt(2.0) * 0.74 * std::pow(2.0, -7) / std::sqrt(12.0);
}

/// Of sums of two: what is left of a number after rounding it twice, and the product of two rests,
/// which is left out, are each at most 2^-18 of it.
inline double split_tolerance() { return 3 * std::pow(2.0, -18); }

/// Every byte of output has to be written, no byte outside the arrays touched, and scratch may hold
/// anything (it holds NaN). `tolerance` bounds the relative L2 error.
inline void check_conv(const cpu::Conv& conv, const ConvCase& c, const ConvData& data,
                       const cpu::Parallel& parallel, double tolerance) {
  for (const Guard guard : {Guard::kAfter, Guard::kBefore}) {
    GuardedFloats input(data.input.size(), guard), output(data.expected.size(), guard);
    GuardedFloats addend(data.addend.size(), guard);
    GuardedFloats scratch(conv.scratch_bytes(parallel.threads) / sizeof(float), guard);
    std::copy(data.input.begin(), data.input.end(), input.begin());
    std::copy(data.addend.begin(), data.addend.end(), addend.begin());
    conv.run(input.data(), c.desc.has_addend ? addend.data() : nullptr, output.data(), c.batch,
             scratch.data(), parallel);
    const double error = relative_l2(output.data(), data.expected);
    EXPECT_TRUE(error <= tolerance)
        << c.name << " " << conv.name() << ": relative L2 " << error << " > " << tolerance;
  }
}

/// The addend lies in the output.
inline void check_in_place(const ConvCase& c, const ConvData& data, cpu::ConvAlgorithm algorithm,
                           cpu::ConvPrecision precision, double tolerance) {
  const auto conv = cpu::make_conv(algorithm, cpu::best_conv_isa(precision, algorithm), c.desc,
                                   data.layer_weights(), precision);
  std::vector<float> output = data.addend;
  GuardedFloats scratch(conv->scratch_bytes(1) / sizeof(float), Guard::kAfter);
  conv->run(data.input.data(), output.data(), output.data(), c.batch, scratch.data(),
            cpu::serial_parallel());
  const double error = relative_l2(output.data(), data.expected);
  EXPECT_TRUE(error <= tolerance) << conv->name() << ": " << error;
}

/// Builds of the kernels of `precision` and `algorithm` that this machine can run.
inline std::vector<cpu::ConvIsa> runnable_isas(
    cpu::ConvPrecision precision, cpu::ConvAlgorithm algorithm = cpu::ConvAlgorithm::kDirect) {
  using cpu::ConvIsa;
  std::vector<ConvIsa> result;
  for (const auto isa : {ConvIsa::kBaseline, ConvIsa::kAvx2, ConvIsa::kAvx512, ConvIsa::kAvx512Bf16,
                         ConvIsa::kAmx, ConvIsa::kWide16OnAvx2}) {
    if (cpu::supported(isa, precision, algorithm)) result.push_back(isa);
  }
  return result;
}

/// The first input is NaN, so the first output has to be.
inline void check_nan(const ConvCase& c, const ConvData& data, cpu::ConvAlgorithm algorithm,
                      cpu::ConvPrecision precision) {
  for (const auto isa : runnable_isas(precision, algorithm)) {
    const auto conv = cpu::make_conv(algorithm, isa, c.desc, data.layer_weights(), precision);
    std::vector<float> output(data.expected.size());
    GuardedFloats scratch(conv->scratch_bytes(1) / sizeof(float), Guard::kAfter);
    conv->run(data.input.data(), nullptr, output.data(), 1, scratch.data(), cpu::serial_parallel());
    EXPECT_TRUE(std::isnan(output[0])) << conv->name() << " " << c.name;
  }
}

}  // namespace face::test
