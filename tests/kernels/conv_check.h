// SPDX-License-Identifier: MIT
// tests/kernels/conv_check.h - runs one implementation of a layer on guarded buffers and holds it
// to the float64 reference.
#pragma once

#include <gtest/gtest.h>

#include "tests/kernels/conv_reference.h"
#include "tests/support/guarded.h"

namespace face::test {

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

/// Builds of the kernels of `precision` that this machine can run.
inline std::vector<cpu::ConvIsa> runnable_isas(
    cpu::ConvPrecision precision = cpu::ConvPrecision::kFp32) {
  std::vector<cpu::ConvIsa> result;
  for (const auto isa : {cpu::ConvIsa::kBaseline, cpu::ConvIsa::kAvx2, cpu::ConvIsa::kAvx512,
                         cpu::ConvIsa::kAvx512Bf16, cpu::ConvIsa::kWide16OnAvx2}) {
    if (cpu::supported(isa, precision)) result.push_back(isa);
  }
  return result;
}

}  // namespace face::test
