// SPDX-License-Identifier: MIT
// bench/gpu_bench.cpp - what a weight file's networks do on the first GPU: throughput by batch,
// layers beside the roofline, detector and recogniser one after the other, pictures with upload.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/gpu_network.h"
#include "engine/cuda/cuda_backend.h"
#include "engine/pack.h"

namespace face::bench {
namespace {

using nlohmann::json;

struct Arguments {
  std::string model, json_path;
  std::vector<int> det_batches{1, 8, 32}, rec_batches{1, 8, 32, 64, 128};
  int det_size = 640, layer_batch = 32;
  bool no_cudnn = false;
};

struct Loaded {
  const char* role;
  std::unique_ptr<cuda::DeviceNetwork> network;
};

Loaded load(const Arguments& a, const cuda::Device& device, const Pack& pack, bool detector) {
  const Network& network = *(detector ? pack.detector() : pack.recogniser());
  const int size = detector ? a.det_size : network.input.height;
  const int max_batch = detector ? a.det_batches.back() : a.rec_batches.back();
  const auto type = device.major >= 7 ? cuda::ElementType::kHalf : cuda::ElementType::kFloat;
  const cuda::CudnnOptions cudnn{!a.no_cudnn, timing_path_of(pack) + ".cuda"};
  Loaded loaded{
      detector ? "detector" : "recogniser",
      std::make_unique<cuda::DeviceNetwork>(device, network, size, size, max_batch, type, cudnn)};
  fill_input(*loaded.network, max_batch);
  std::printf("\n%s: %s\n", loaded.role, loaded.network->cudnn_note().c_str());
  return loaded;
}

json throughput(const Loaded& loaded, const std::vector<int>& batches) {
  json rows = json::array();
  std::printf("\n| %s, batch | ms | images/s |\n|--:|--:|--:|\n", loaded.role);
  for (const int batch : batches) {
    const double us =
        time_graph([&](cudaStream_t stream) { loaded.network->enqueue(batch, stream); });
    std::printf("| %d | %.3f | %.0f |\n", batch, us / 1e3, 1e6 * batch / us);
    rows.push_back({{"batch", batch}, {"ms", us / 1e3}, {"images_s", 1e6 * batch / us}});
  }
  return rows;
}

json layer_table(const Loaded& loaded, const GpuPeaks& peaks, int batch) {
  json rows = json::array();
  double us = 0, limit = 0;
  std::printf("\n| %s, batch %d | by | us | GFLOP | MB | TFLOP/s | GB/s | of limit |\n",
              loaded.role, batch);
  std::printf("|---|---|--:|--:|--:|--:|--:|--:|\n");
  for (const GpuLayer& layer : time_layers(*loaded.network, batch)) {
    const double least = peaks.limit_us(layer.work);
    std::printf("| %s | %s | %.1f | %.2f | %.2f | %.1f | %.0f | %.0f%% |\n", layer.name.c_str(),
                layer.implementation.c_str(), layer.us, layer.work.gflop, layer.work.mbytes,
                1e3 * layer.work.gflop / layer.us, 1e3 * layer.work.mbytes / layer.us,
                100 * least / layer.us);
    rows.push_back({{"name", layer.name},
                    {"by", layer.implementation},
                    {"us", layer.us},
                    {"gflop", layer.work.gflop},
                    {"mbytes", layer.work.mbytes},
                    {"limit_us", least}});
    us += layer.us;
    limit += least;
  }
  std::printf("| sum | | %.1f | | | | | %.0f%% |\n", us, 100 * limit / us);
  return rows;
}

/// The detector on a batch, then the recogniser on as many faces.
json one_face_each(const Loaded& detector, const Loaded& recogniser, int batch) {
  const double us = time_graph([&](cudaStream_t stream) {
    detector.network->enqueue(batch, stream);
    recogniser.network->enqueue(batch, stream);
  });
  std::printf("\ndetector + 1 face, batch %d: %.3f ms, %.0f images/s\n", batch, us / 1e3,
              1e6 * batch / us);
  return {{"batch", batch}, {"ms", us / 1e3}, {"images_s", 1e6 * batch / us}};
}

/// Decoded pictures in host memory to faces: upload, everything on the device, answers.
json pictures(const Arguments& a, const std::shared_ptr<const Pack>& pack, int width, int height) {
  constexpr int kRuns = 10;
  const int batch = a.det_batches.back();
  const auto pipeline = make_cuda_backend(0)->pipeline(
      pack, {.det_sizes = {a.det_size}, .max_batch = batch, .use_cudnn = !a.no_cudnn});
  std::vector<uint8_t> pixels(size_t(width) * height * 3);
  std::mt19937 generator(1);
  for (uint8_t& p : pixels) p = static_cast<uint8_t>(generator());
  const std::vector<ImageView> views(batch, {pixels.data(), width, height, size_t(width) * 3});
  static_cast<void>(pipeline->run(views, nullptr));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) static_cast<void>(pipeline->run(views, nullptr));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double rate = kRuns * batch / took.count();
  std::printf("pictures %dx%d, decoded, batch %d, one pipeline: %.0f/s; %.0f MB on the device\n",
              width, height, batch, rate, 1e-6 * static_cast<double>(pipeline->memory_bytes()));
  return {{"width", width},
          {"height", height},
          {"batch", batch},
          {"pictures_s", rate},
          {"device_bytes", pipeline->memory_bytes()}};
}

void run(const Arguments& a) {
  const auto pack = Pack::open(a.model);
  const cuda::Device device = cuda::describe_device(0);
  const GpuPeaks peaks = measure_peaks(device, size_t{256} << 20);
  std::printf(
      "%s, sm_%d%d, %d multiprocessors; limits: %.0f TFLOP/s by formula, %.0f GB/s by copy\n",
      device.name.c_str(), device.major, device.minor, device.multiprocessors, peaks.tflops,
      peaks.gbytes_s);
  json result{{"gpu", device.name}, {"tflops", peaks.tflops}, {"gbytes_s", peaks.gbytes_s}};
  {
    const Loaded detector = load(a, device, *pack, true),
                 recogniser = load(a, device, *pack, false);
    result["detector"] = throughput(detector, a.det_batches);
    result["recogniser"] = throughput(recogniser, a.rec_batches);
    result["one_face"] = one_face_each(detector, recogniser, a.det_batches.back());
    for (const int batch : {1, a.layer_batch}) {
      result["detector_layers"][std::to_string(batch)] = layer_table(detector, peaks, batch);
      result["recogniser_layers"][std::to_string(batch)] = layer_table(recogniser, peaks, batch);
    }
  }
  std::printf("\n");
  result["pictures"] = {pictures(a, pack, 1920, 1080), pictures(a, pack, 250, 250)};
  if (!a.json_path.empty()) std::ofstream(a.json_path) << result.dump(1) << "\n";
}

int main_of(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times a weight file's networks on the first GPU; prints Markdown.");
  app.add_option("--model", a.model, "weight file (.fwp) with detector and recogniser")->required();
  app.add_option("--det-batches", a.det_batches, "ascending; powers of two, but for the last");
  app.add_option("--rec-batches", a.rec_batches, "ascending; powers of two, but for the last");
  app.add_option("--layer-batch", a.layer_batch, "one of both, for the table of layers, beside 1");
  app.add_option("--det-size", a.det_size, "side of the detector's input");
  app.add_flag("--no-cudnn", a.no_cudnn, "our own kernels alone");
  app.add_option("--json", a.json_path, "also write the numbers here");
  CLI11_PARSE(app, argc, argv);
  run(a);
  return 0;
}

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) try {
  return face::bench::main_of(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "gpu_bench: %s\n", e.what());
  return 1;
}
