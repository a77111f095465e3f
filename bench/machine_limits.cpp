// SPDX-License-Identifier: MIT
// bench/machine_limits.cpp - prints what the cores' arithmetic and the memory reach, as JSON: for
// scripts that hold other figures against it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "bench/fma_peak.h"
#include "bench/memory_bandwidth.h"

int main(int argc, char** argv) try {
  using face::cpu::ConvIsa;
  using face::cpu::ConvPrecision;
  int threads = 1;
  bool arithmetic_only = false;
  CLI::App app("Measures what this machine's arithmetic and memory reach at most.");
  app.add_option("--threads", threads, "that compute at once")->check(CLI::Range(1, 1024));
  app.add_flag("--arithmetic", arithmetic_only, "leave the memory out: takes 0.2 s");
  CLI11_PARSE(app, argc, argv);
  std::printf("{\"threads\": %d, \"fp32_gflops\": %.1f", threads,
              face::bench::fma_peak_gflops(threads));
  if (face::cpu::supported(ConvIsa::kAvx512Bf16, ConvPrecision::kBf16))
    std::printf(", \"bf16_gflops\": %.1f",
                face::bench::fma_peak_gflops(threads, ConvPrecision::kBf16));
  if (!arithmetic_only)
    std::printf(", \"memory_gbs\": %.1f", face::bench::memory_bandwidth_gbs(threads));
  std::puts("}");
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "machine_limits: %s\n", e.what());
  return 1;
}
