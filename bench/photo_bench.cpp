// SPDX-License-Identifier: MIT
// bench/photo_bench.cpp - photos in memory to faces and embeddings: milliseconds per stage and
// pass, as one line of JSON per pass. Scripts in bench/ hold it against other programs.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/face_engine.h"
#include "engine/image.h"
#include "server/serve.h"

namespace face::bench {
namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string model, precision = "auto";
  std::vector<std::string> photos;
  int threads = 0, batch = 1, passes = 1, det_size = 640;
  bool wait = false;
};

struct Pass {
  double decode_ms = 0, total_ms = 0;
  StageTimes stages;
  size_t pixels = 0, faces = 0;
};

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kIo, path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Decodes photos [begin, end) and finds their faces.
void run_batch(FaceEngine* engine, const std::vector<Bytes>& photos, size_t begin, size_t end,
               Pass* pass) {
  const ImageLimits limits;
  std::vector<Image> images;
  const auto start = Clock::now();
  for (size_t i = begin; i < end; ++i)
    images.push_back(decode_image(photos[i], probe_image(photos[i], limits), limits));
  pass->decode_ms += milliseconds_since(start);
  std::vector<ImageView> views;
  for (const Image& image : images) {
    views.push_back(image.view());
    pass->pixels += size_t(image.width()) * image.height();
  }
  StageTimes times;
  for (const auto& faces : engine->run(views, &times)) pass->faces += faces.size();
  pass->stages += times;
}

Pass run_pass(FaceEngine* engine, const std::vector<Bytes>& photos, size_t batch) {
  Pass pass;
  const auto start = Clock::now();
  for (size_t begin = 0; begin < photos.size(); begin += batch)
    run_batch(engine, photos, begin, std::min(photos.size(), begin + batch), &pass);
  pass.total_ms = milliseconds_since(start);
  return pass;
}

void print(const Pass& p, size_t photos, const FaceEngine& engine) {
  std::printf(
      "{\"photos\":%zu,\"faces\":%zu,\"megapixels\":%.3f,\"total_ms\":%.3f,\"decode_ms\":%.3f,"
      "\"preprocess_ms\":%.3f,\"detect_ms\":%.3f,\"postprocess_ms\":%.3f,\"align_ms\":%.3f,"
      "\"embed_ms\":%.3f,\"trained\":%d,\"precision\":\"%s\"}\n",
      photos, p.faces, 1e-6 * double(p.pixels), p.total_ms, p.decode_ms, p.stages.preprocess,
      p.stages.detect, p.stages.decode, p.stages.align, p.stages.embed,
      engine.pack().provenance().generated ? 0 : 1, to_string(engine.pipelines().precision()));
  std::fflush(stdout);
}

void run(const Arguments& a) {
  EngineOptions options;
  options.device.kind = DeviceKind::kCpu;
  options.pipeline.precision = parse_precision(a.precision);
  options.pipeline.det_sizes = {a.det_size};
  options.pipeline.threads = a.threads;
  options.pipeline.max_batch = a.batch;
  FaceEngine engine(Pack::open(a.model), options);
  std::vector<Bytes> photos;
  for (const std::string& path : a.photos) photos.push_back(read_file(path));
  for (int pass = 0; pass < a.passes; ++pass) {
    std::string line;
    if (a.wait && !std::getline(std::cin, line)) return;
    print(run_pass(&engine, photos, size_t(a.batch)), photos.size(), engine);
  }
}

int main_of(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times photos, encoded and in memory, to faces and embeddings on the CPU.");
  app.add_option("--model", a.model, "weight file (.fwp)")->required();
  app.add_option("--precision", a.precision, "auto, fp32 or bf16");
  app.add_option("--det-size", a.det_size, "side of the detector's input");
  app.add_option("--threads", a.threads, "0: every core")->check(CLI::Range(0, 1024));
  app.add_option("--batch", a.batch, "photos that go through together")->check(CLI::Range(1, 256));
  app.add_option("--passes", a.passes, "times to take all photos")->check(CLI::Range(1, 1000000));
  app.add_flag("--wait", a.wait, "before each pass, wait for a line on stdin; its end ends all");
  app.add_option("photos", a.photos, "files")->required();
  CLI11_PARSE(app, argc, argv);
  run(a);
  return 0;
}

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) try {
  face::limit_spinning(argv);
  face::tune_allocator();
  return face::bench::main_of(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "photo_bench: %s\n", e.what());
  return 1;
}
