// SPDX-License-Identifier: MIT
// Pipelines of a pool: turns, blocking, batches, memory, errors; on pipelines that compute nothing.
#include "engine/pipeline_pool.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "engine/error.h"
#include "tests/engine/fake_backend.h"

namespace face {
namespace {

using testing::ElementsAre;

/// What the pipelines of a test share.
struct Control {
  void close_gate() {
    const std::lock_guard lock(mutex);
    open = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
  void await_runs(size_t count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return runs.size() >= count; });
  }
  /// Which pipelines ran since the last call.
  std::vector<int> take_runs() {
    const std::lock_guard lock(mutex);
    return std::exchange(runs, {});
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> runs;
  std::vector<size_t> batches;
  bool open = true;
  int made = 0;  // pipelines
  int running = 0, most_running = 0;
  int failing = -1;  // pipeline whose runs throw
};

/// A face per image whose x1 is the image's width.
class CountingPipeline final : public Pipeline {
 public:
  CountingPipeline(Control& control, Precision precision, bool has_twins)
      : control_(control), index_(control.made++), precision_(precision), has_twins_(has_twins) {}

  std::vector<std::vector<Face>> run(std::span<const ImageView> images,
                                     StageTimes* times) override {
    std::unique_lock lock(control_.mutex);
    control_.runs.push_back(index_);
    control_.batches.push_back(images.size());
    control_.most_running = std::max(control_.most_running, ++control_.running);
    control_.changed.notify_all();
    control_.changed.wait(lock, [this] { return control_.open; });
    --control_.running;
    if (index_ == control_.failing) throw Error(ErrorKind::kInternal, "asked to fail");
    if (times != nullptr) times->detect = 1.5;
    std::vector<std::vector<Face>> faces;
    for (const ImageView& image : images) {
      Face face;
      face.detection.x1 = float(image.width);
      faces.push_back({face});
    }
    return faces;
  }
  [[nodiscard]] int max_batch() const override { return 2; }
  [[nodiscard]] Precision precision() const override { return precision_; }
  [[nodiscard]] size_t memory_bytes() const override { return index_ == 0 ? 100 : 10; }
  [[nodiscard]] std::unique_ptr<Pipeline> twin() const override {
    if (!has_twins_) return nullptr;
    return std::make_unique<CountingPipeline>(control_, precision_, true);
  }

 private:
  Control& control_;
  const int index_;
  const Precision precision_;
  const bool has_twins_;
};

class CountingBackend final : public Backend {
 public:
  CountingBackend(Control& control, const char* name, Precision precision, bool has_twins)
      : control_(control), precision_(precision), has_twins_(has_twins) {
    info_.name = name;
  }
  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] bool supports(Precision) const override { return true; }
  [[nodiscard]] std::unique_ptr<Executable> compile(const Network&,
                                                    const CompileOptions&) override {
    return nullptr;
  }
  [[nodiscard]] std::unique_ptr<Pipeline> pipeline(std::shared_ptr<const Pack>,
                                                   const PipelineOptions&) override {
    return std::make_unique<CountingPipeline>(control_, precision_, has_twins_);
  }

 private:
  Control& control_;
  DeviceInfo info_;
  Precision precision_;
  bool has_twins_;
};

class PipelinePoolTest : public testing::Test {
 protected:
  void add_device(const char* name, Precision precision = Precision::kFp16, bool has_twins = true) {
    backends_.push_back(std::make_unique<CountingBackend>(control_, name, precision, has_twins));
  }
  std::unique_ptr<PipelinePool> pool(int instances) {
    return std::make_unique<PipelinePool>(backends_, std::make_shared<test::FakePack>(),
                                          PipelineOptions{}, instances);
  }
  static std::vector<float> answer(PipelinePool& pool, int first, int count,
                                   StageTimes* times = nullptr) {
    const uint8_t pixel[3] = {};
    std::vector<ImageView> images;
    for (int i = 0; i < count; ++i) images.push_back({pixel, first + i, 1, 3});
    std::vector<float> widths;
    for (const auto& faces : pool.run(images, times)) widths.push_back(faces.at(0).detection.x1);
    return widths;
  }

  Control control_;
  Backends backends_;
};

TEST_F(PipelinePoolTest, EachIsWarmedUpAndDevicesTakeTurns) {
  add_device("a");
  add_device("b");
  const auto made = pool(2);
  EXPECT_EQ(made->size(), 4);
  EXPECT_EQ(made->memory_bytes(), 100u + 3 * 10);
  EXPECT_EQ(made->precision(), Precision::kFp16);
  EXPECT_THAT(control_.take_runs(), ElementsAre(0, 1, 2, 3));
  for (int i = 0; i < 5; ++i) EXPECT_THAT(answer(*made, 7, 1), ElementsAre(7));
  EXPECT_THAT(control_.take_runs(), ElementsAre(0, 1, 2, 3, 0));  // 0 and 2 are device a's
}

TEST_F(PipelinePoolTest, WhereThereIsNoTwinOnePipelineHasTheDevice) {
  add_device("cpu", Precision::kFp32, /*has_twins=*/false);
  const auto made = pool(4);
  EXPECT_EQ(made->size(), 1);
  EXPECT_EQ(made->memory_bytes(), 100u);
}

TEST_F(PipelinePoolTest, AsManyRunAtOnceAsThereAreTheOthersWait) {
  add_device("a");
  const auto made = pool(3);
  control_.take_runs();
  control_.close_gate();
  std::vector<std::future<std::vector<float>>> answers;
  for (int i = 0; i < 8; ++i)
    answers.push_back(std::async(std::launch::async, [&, i] { return answer(*made, i, 1); }));
  control_.await_runs(3);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  {
    const std::lock_guard lock(control_.mutex);
    EXPECT_EQ(control_.runs.size(), 3u) << "the fourth waits";
  }
  control_.open_gate();
  for (int i = 0; i < 8; ++i) EXPECT_THAT(answers[i].get(), ElementsAre(float(i)));
  EXPECT_EQ(control_.most_running, 3);
  EXPECT_EQ(control_.runs.size(), 8u);
}

TEST_F(PipelinePoolTest, ManyImagesAreCutIntoBatchesInTheirOrder) {
  add_device("a");
  const auto made = pool(1);
  control_.batches.clear();
  StageTimes times;
  EXPECT_THAT(answer(*made, 10, 5, &times), ElementsAre(10, 11, 12, 13, 14));
  EXPECT_THAT(control_.batches, ElementsAre(2, 2, 1));
  EXPECT_EQ(times.detect, 3 * 1.5);
  EXPECT_THAT(answer(*made, 10, 0, &times), ElementsAre());
  EXPECT_EQ(times.detect, 0);
}

TEST_F(PipelinePoolTest, AFailureComesOutAndThePipelineGoesBack) {
  add_device("a");
  const auto made = pool(1);
  control_.failing = 0;
  EXPECT_THROW(static_cast<void>(answer(*made, 1, 1)), Error);
  control_.failing = -1;
  EXPECT_THAT(answer(*made, 1, 1), ElementsAre(1));
}

TEST_F(PipelinePoolTest, DevicesOfDifferentPrecisionsAreNamed) {
  add_device("GTX 1080", Precision::kFp32);
  add_device("RTX 3090", Precision::kFp16);
  try {
    pool(1);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_STREQ(e.what(),
                 "precision: GTX 1080 would take fp32 and RTX 3090 fp16, whose answers differ: "
                 "name one");
  }
}

}  // namespace
}  // namespace face
