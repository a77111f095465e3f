// SPDX-License-Identifier: MIT
// tests/server/scan_test.cpp - a folder of pictures to JSON lines: order, broken pictures,
// resuming.
#include "server/scan.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/error.h"
#include "tests/server/null_engine.h"

namespace face {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Scan : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = fs::temp_directory_path() / ("face_scan_" + name + std::to_string(::getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_ / "photos" / "sub");
    config_.scan_folder = root_ / "photos";
    config_.scan_output = root_ / "faces.jsonl";
    config_.decode_threads = 2;
    config_.image.max_bytes = 1'000;
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& file, const std::string& content) {
    std::ofstream(root_ / "photos" / file, std::ios::binary) << content;
  }
  void put_photos(int count) {
    for (int i = 0; i < count; ++i) {
      put(std::string("p").append(std::to_string(100 + i)).append(".jpg"),
          std::string("PIC ").append(std::to_string(i + 1)).append(" 2"));
    }
  }
  std::string output() const {
    std::ostringstream text;
    text << std::ifstream(config_.scan_output, std::ios::binary).rdbuf();
    return text.str();
  }
  void set_output(const std::string& text) {
    std::ofstream(config_.scan_output, std::ios::binary) << text;
  }
  std::vector<json> lines() const {
    std::istringstream text(output());
    std::vector<json> parsed;
    for (std::string line; std::getline(text, line);) parsed.push_back(json::parse(line));
    return parsed;
  }
  ScanSummary run(bool stop = false) {
    stop_ = stop;
    return scan_folder(config_, std::make_unique<test::NullService>(control_), test::null_decoder(),
                       stop_);
  }

  fs::path root_;
  Config config_;
  std::atomic<bool> stop_{false};
  std::shared_ptr<test::NullControl> control_ = std::make_shared<test::NullControl>();
};

TEST_F(Scan, LinesInSortedOrderWithErrorsInTheirPlace) {
  put("b.JPG", "PIC 3 4");
  put("sub/a.png", "PIC 5 6");
  put("a.jpeg", "broken");
  put("c.gif", "GIF89a");
  put("d.jpg", std::string(2'000, 'x'));
  put("notes.txt", "PIC 1 1");
  const ScanSummary summary = run();
  EXPECT_EQ(summary.pictures, 5U);
  EXPECT_EQ(summary.failed, 3U);
  EXPECT_EQ(summary.faces, 2U);
  const std::vector<json> rows = lines();
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0], json({{"file", "a.jpeg"}, {"error", "Invalid image format"}}));
  EXPECT_EQ(rows[1]["file"], "b.JPG");
  EXPECT_EQ(rows[1]["image_width"], 3);
  EXPECT_EQ(rows[1]["faces"][0]["embedding"].size(), 3U);
  EXPECT_EQ(rows[2]["error"], "GIF is not supported");
  EXPECT_NE(rows[3]["error"].get<std::string>().find("limit of 1000"), std::string::npos);
  EXPECT_EQ(rows[4]["file"], "sub/a.png");
}

TEST_F(Scan, ManyPicturesShareBatchesAndKeepOrder) {
  put_photos(60);
  EXPECT_EQ(run().pictures, 60U);
  const std::vector<json> rows = lines();
  ASSERT_EQ(rows.size(), 60U);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i]["image_width"], i + 1);
}

TEST_F(Scan, ResumesFromEveryTornState) {
  put_photos(3);
  put("quote\"\\\n.jpg", "broken");
  put("bytes\xFF.jpg", "PIC 7 7");
  run();
  const std::string whole = output();
  for (size_t size = 0; size <= whole.size(); size += size < 40 ? 1 : 37) {
    set_output(whole.substr(0, size));
    const size_t lines_kept = size_t(std::count(whole.begin(), whole.begin() + long(size), '\n'));
    const ScanSummary summary = run();
    EXPECT_EQ(output(), whole) << size;
    EXPECT_EQ(summary.skipped, lines_kept) << size;
    EXPECT_EQ(summary.pictures, 5 - lines_kept) << size;
  }
}

TEST_F(Scan, NewPicturesAreAppended) {
  put_photos(2);
  run();
  const std::string before = output();
  put("a.jpg", "PIC 9 9");
  const ScanSummary summary = run();
  EXPECT_EQ(summary.skipped, 2U);
  EXPECT_EQ(summary.pictures, 1U);
  EXPECT_EQ(output().substr(0, before.size()), before);
  EXPECT_EQ(lines().back()["file"], "a.jpg");
}

TEST_F(Scan, ForeignOutputIsNotTouched) {
  put_photos(1);
  for (const std::string foreign : {"{\"other\":1}\n", "some text\nmore\n", "{\"file\":3}\n"}) {
    set_output(foreign);
    try {
      run();
      ADD_FAILURE() << foreign;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("line 1"), std::string::npos) << error.what();
    }
    EXPECT_EQ(output(), foreign);
  }
}

TEST_F(Scan, StopsWhereItIs) {
  put_photos(5);
  const ScanSummary summary = run(/*stop=*/true);
  EXPECT_TRUE(summary.stopped);
  EXPECT_EQ(summary.pictures, 0U);
  EXPECT_EQ(run().pictures, 5U);
}

TEST_F(Scan, EnginesFailureOfOnePictureIsALine) {
  put_photos(5);
  control_->fail_width(3);
  EXPECT_EQ(run().failed, 1U);
  EXPECT_EQ(lines()[2]["error"], "non-finite output");
}

TEST_F(Scan, LostDeviceEndsTheRunAndCanBeResumed) {
  put_photos(5);
  control_->fail_next(ErrorKind::kDeviceLost);
  EXPECT_THROW(run(), Error);
  EXPECT_EQ(run().pictures, 5U);
  EXPECT_EQ(lines().size(), 5U);
}

TEST_F(Scan, UnwritableOutputIsNamed) {
  put_photos(1);
  config_.scan_output = root_ / "no" / "such" / "folder" / "x";
  try {
    run();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(std::string(error.what()).find("no/such/folder"), std::string::npos);
  }
}

}  // namespace
}  // namespace face
