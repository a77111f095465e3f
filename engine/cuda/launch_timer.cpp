// SPDX-License-Identifier: MIT
#include "engine/cuda/launch_timer.h"

#include <algorithm>
#include <vector>

namespace face::cuda {
namespace {

constexpr int kReplays = 20, kFirst = 4;
constexpr int kMaxBurst = 8;
constexpr double kBurstMs = 0.2;  // events count in steps of half a microsecond

class Clock {
 public:
  explicit Clock(cudaStream_t stream) : stream_(stream) {}

  template <typename Work>
  double time(Work work) {
    FACE_CUDA(cudaEventRecord(begin_.get(), stream_));
    work();
    FACE_CUDA(cudaEventRecord(end_.get(), stream_));
    FACE_CUDA(cudaEventSynchronize(end_.get()));
    float ms = 0.f;
    FACE_CUDA(cudaEventElapsedTime(&ms, begin_.get(), end_.get()));
    return ms;
  }

 private:
  cudaStream_t stream_;
  Event begin_ = make_event(true), end_ = make_event(true);
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double median_ms(const Launch& launch, double hopeless, cudaStream_t stream) {
  Clock clock(stream);
  launch(0, stream);  // loads its code, which a capture may not
  const double once = clock.time([&] { launch(1, stream); });
  const int burst = std::clamp(static_cast<int>(kBurstMs / std::max(once, 1e-4)), 1, kMaxBurst);
  const GraphExec graph = capture(stream, [&](cudaStream_t s) {
    for (int i = 0; i < burst; ++i) launch(i, s);
  });
  std::vector<double> ms;
  for (int i = 0; i < kReplays; ++i) {
    ms.push_back(clock.time([&] { FACE_CUDA(cudaGraphLaunch(graph.get(), stream)); }) / burst);
    if (i + 1 == kFirst && median(ms) > hopeless) break;
  }
  return median(ms);
}

}  // namespace face::cuda
