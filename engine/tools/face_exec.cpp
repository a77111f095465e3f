// SPDX-License-Identifier: MIT
// engine/tools/face_exec.cpp - one network of a weight file on one input: for people who hold the
// engine against another runtime.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/error.h"
#include "engine/pack.h"
#include "engine/tools/npy.h"

namespace face {
namespace {

struct Arguments {
  std::string model, network, input, output;
  std::string precision = "auto", device = "auto";
  int threads = 0, batch = 0, iterations = 1;
  bool profile = false, no_cudnn = false;
};

const Network& network_of(const Pack& pack, const std::string& name) {
  const Network* network = name == "detector" ? pack.detector() : pack.recogniser();
  if (network == nullptr)
    throw Error(ErrorKind::kBadModel, pack.path().string() + ": holds no " + name);
  return *network;
}

/// The input for `batch` images (0: as many as it holds), repeated if it holds fewer, in the
/// network's own normalisation. `array.shape[0]` becomes the batch.
void prepare_input(NpyArray& array, const Input& input, int batch) {
  if (array.shape.size() != 4 || array.shape[1] != 3 || array.values.empty())
    throw Error(ErrorKind::kInvalidArgument, "--input: want a shape of (N, 3, H, W)");
  const size_t image = array.values.size() / array.shape[0];
  const size_t held = static_cast<size_t>(array.shape[0]);
  if (batch > 0) {
    array.values.resize(image * batch);
    for (size_t i = image * held; i < array.values.size(); ++i)
      array.values[i] = array.values[i - image * held];
    array.shape[0] = batch;
  }
  for (float& v : array.values) v = (v - input.onnx_mean) * input.onnx_scale;
}

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)))];
}

void print_times(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  std::printf("min %.3f ms, median %.3f ms, p99 %.3f ms (%zu iterations)\n", ms.front(),
              percentile(ms, 0.5), percentile(ms, 0.99), ms.size());
}

void print_profile(const std::vector<LayerProfile>& layers) {
  std::printf("%-28s %-28s %9s %9s\n", "layer", "implementation", "ms", "GFLOP/s");
  double ms = 0, gflop = 0;
  for (const LayerProfile& layer : layers) {
    const double rate = layer.milliseconds > 0 ? 1e3 * layer.gflop / layer.milliseconds : 0;
    std::printf("%-28s %-28s %9.3f %9.1f\n", layer.name.c_str(), layer.implementation.c_str(),
                layer.milliseconds, rate);
    ms += layer.milliseconds;
    gflop += layer.gflop;
  }
  std::printf("%-28s %-28s %9.3f %9.1f\n", "total", "", ms, ms > 0 ? 1e3 * gflop / ms : 0);
}

std::vector<double> time_runs(Executable& executable, const NpyArray& input, int iterations) {
  std::vector<double> ms;
  const int batch = static_cast<int>(input.shape[0]);
  for (int i = 0; i < iterations; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    executable.run(input.values.data(), batch);
    const auto end = std::chrono::steady_clock::now();
    ms.push_back(std::chrono::duration<double, std::milli>(end - begin).count());
  }
  return ms;
}

/// Names become file names: what cannot be part of one becomes '_'.
std::filesystem::path file_name(std::string name) {
  for (char& c : name)
    if (c == '/' || c == '\\' || c == '\0') c = '_';
  return name + ".npy";
}

void print_header(const Backend& backend, const Executable& executable, double compile_ms) {
  const DeviceInfo& device = backend.info();
  if (!device.warning.empty()) std::fprintf(stderr, "warning: %s\n", device.warning.c_str());
  std::printf("%s (%s), %s; compiled in %.0f ms; activations %.1f MB, packed weights %.1f MB\n",
              device.name.c_str(), device.driver.c_str(), to_string(executable.precision()),
              compile_ms, 1e-6 * static_cast<double>(executable.activation_bytes()),
              1e-6 * static_cast<double>(executable.weight_bytes()));
  if (const std::string notes = executable.notes(); !notes.empty())
    std::printf("%s\n", notes.c_str());
}

void run(const Arguments& a) {
  const Precision precision = parse_precision(a.precision);
  const DeviceChoice device = parse_device(a.device);
  const auto pack = Pack::open(a.model);
  const Network& network = network_of(*pack, a.network);
  NpyArray input = read_npy(a.input);
  prepare_input(input, network.input, a.batch);
  const auto backend = make_backend(device);
  const auto begin = std::chrono::steady_clock::now();
  const auto executable = backend->compile(network, {.precision = precision,
                                                     .max_batch = static_cast<int>(input.shape[0]),
                                                     .height = static_cast<int>(input.shape[2]),
                                                     .width = static_cast<int>(input.shape[3]),
                                                     .threads = a.threads,
                                                     .use_cudnn = !a.no_cudnn,
                                                     .timing_path = timing_path_of(*pack)});
  const auto end = std::chrono::steady_clock::now();
  pack->release_pages();
  print_header(*backend, *executable,
               std::chrono::duration<double, std::milli>(end - begin).count());
  if (a.iterations > 1) executable->run(input.values.data(), static_cast<int>(input.shape[0]));
  print_times(time_runs(*executable, input, a.iterations));
  std::filesystem::create_directories(a.output);
  for (NamedArray& array : onnx_outputs(*executable, static_cast<int>(input.shape[0])))
    write_npy(std::filesystem::path(a.output) / file_name(array.name),
              {std::move(array.shape), std::move(array.values)});
  if (a.profile)
    print_profile(executable->profile(input.values.data(), static_cast<int>(input.shape[0])));
}

int run_command(int argc, char** argv) {
  Arguments a;
  CLI::App app("Runs one network of a weight file on an .npy input and times it.");
  app.add_option("--model", a.model, "weight file (.fwp)")->required();
  app.add_option("--network", a.network, "which network")
      ->required()
      ->check(CLI::IsMember({"detector", "recogniser"}));
  app.add_option("--input", a.input, "float32 .npy of (N, 3, H, W), as the ONNX graph's input")
      ->required();
  app.add_option("--output", a.output, "folder for one .npy per output")->required();
  app.add_option("--precision", a.precision, kPrecisionWords);
  app.add_option("--device", a.device, "auto, cpu, cuda or cuda:N");
  app.add_option("--threads", a.threads, "0: every core")->check(CLI::Range(0, 1024));
  app.add_option("--batch", a.batch, "images per run; 0: as many as the input holds")
      ->check(CLI::Range(0, 1024));
  app.add_option("--iterations", a.iterations, "timed runs")->check(CLI::Range(1, 1000000));
  app.add_flag("--no-cudnn", a.no_cudnn, "cuda: our own kernels alone");
  app.add_flag("--profile", a.profile, "print a table of layers");
  CLI11_PARSE(app, argc, argv);
  run(a);
  return 0;
}

}  // namespace
}  // namespace face

int main(int argc, char** argv) {
  try {
    return face::run_command(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "face_exec: %s\n", e.what());
    return 1;
  }
}
