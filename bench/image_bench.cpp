// SPDX-License-Identifier: MIT
// bench/image_bench.cpp - our JPEG decoding beside a bare libjpeg-turbo loop on the same bytes, on
// one core: what limits, orientation and checks cost.
#include <benchmark/benchmark.h>
#include <jpeglib.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

#include "bench/limits.h"
#include "engine/image.h"

namespace face::bench {
namespace {

using Bytes = std::vector<uint8_t>;

/// A picture with edges, gradients and grain, so that its bytes per pixel are those of photos.
std::vector<uint8_t> make_pixels(int width, int height) {
  std::vector<uint8_t> pixels(size_t(3) * width * height);
  uint32_t state = 1;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      state = state * 1664525u + 1013904223u;
      const double grain = double(state >> 24) / 16;
      const double wave =
          60 * std::sin(x * 0.021) * std::cos(y * 0.017) + ((x / 97 + y / 61) % 2) * 40;
      for (int c = 0; c < 3; ++c) {
        const double value = 90 + wave + grain + c * 12 * std::sin(y * 0.005);
        pixels[(size_t(y) * width + x) * 3 + c] = uint8_t(std::fmin(255, std::fmax(0, value)));
      }
    }
  }
  return pixels;
}

/// Quality 85, 4:2:0, as cameras and phones write them.
Bytes encode(int width, int height, bool progressive) {
  const std::vector<uint8_t> pixels = make_pixels(width, height);
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &data, &size);
  jpeg.image_width = JDIMENSION(width);
  jpeg.image_height = JDIMENSION(height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 85, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<uint8_t*>(&pixels[size_t(jpeg.next_scanline) * 3 * width]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  Bytes bytes(data, data + size);
  std::free(data);
  return bytes;
}

/// What any user of the library has to do: RGB rows into memory that is allocated per picture.
int decode_bare(const Bytes& bytes) {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  const size_t stride = size_t(3) * jpeg.output_width;
  const std::unique_ptr<uint8_t[]> pixels(new uint8_t[stride * jpeg.output_height]);
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t* rows[16];
    const JDIMENSION first = jpeg.output_scanline;
    for (JDIMENSION i = 0; i < 16; ++i) rows[i] = pixels.get() + stride * (first + i);
    jpeg_read_scanlines(&jpeg, rows, std::min<JDIMENSION>(16, jpeg.output_height - first));
  }
  const int last = pixels[stride * jpeg.output_height - 1];
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return last;
}

int decode_ours(const Bytes& bytes) {
  const ImageLimits limits;
  const Image image = decode_image(bytes, probe_image(bytes, limits), limits);
  return image.data()[image.size_bytes() - 1];
}

/// args: width, height, 1 if progressive.
void BM_Jpeg(benchmark::State& state, int (*decode)(const Bytes&)) {
  const int width = int(state.range(0)), height = int(state.range(1));
  const Bytes bytes = encode(width, height, state.range(2) != 0);
  for (auto _ : state) benchmark::DoNotOptimize(decode(bytes));
  report(state, {0, double(bytes.size()) + 3. * width * height}, 1);
  state.counters["MP/s"] =
      benchmark::Counter(1e-6 * width * height, benchmark::Counter::kIsIterationInvariantRate);
}

void jpeg_cases(benchmark::internal::Benchmark* bench) {
  bench->Args({250, 250, 0})->Args({1920, 1080, 0})->Args({4000, 3000, 0})->Args({1920, 1080, 1});
  bench->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(BM_Jpeg, ours, decode_ours)->Apply(jpeg_cases);
BENCHMARK_CAPTURE(BM_Jpeg, libjpeg, decode_bare)->Apply(jpeg_cases);

}  // namespace
}  // namespace face::bench

int main(int argc, char** argv) {
  face::bench::add_limits_to_context();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
