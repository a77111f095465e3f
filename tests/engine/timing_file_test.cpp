// SPDX-License-Identifier: MIT
// The file of layer timings: what it keeps, and what it refuses to believe.
#include "engine/cpu/timing_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "engine/line_file.h"

namespace face::cpu {
namespace {

class TimingFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "model.fwp.timings";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write_text(const std::string& text) const { std::ofstream(path_) << text; }
  [[nodiscard]] std::string text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TimingTable table_ = {{"28 320 320 ", {{"onednn", 7.5, 1000}, {"winograd4x4", 2.25, 4000}}},
                              {"other", {{"plain", 0.125, 0}}}};
  std::filesystem::path folder_, path_;
};

TEST_F(TimingFile, KeepsWhatWasWritten) {
  ASSERT_TRUE(write_timings(path_, "machine", table_));
  const TimingTable read = read_timings(path_, "machine");
  ASSERT_EQ(read.size(), 2u);
  const std::vector<Timing>& timings = read.at("28 320 320 ");
  ASSERT_EQ(timings.size(), 2u);
  EXPECT_EQ(timings[1].name, "winograd4x4");
  EXPECT_EQ(timings[1].milliseconds, 2.25);
  EXPECT_EQ(timings[1].weight_bytes, 4000u);
}

TEST_F(TimingFile, LeavesNoTemporaryFile) {
  ASSERT_TRUE(write_timings(path_, "machine", table_));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(TimingFile, OfAnotherMachineIsEmpty) {
  ASSERT_TRUE(write_timings(path_, "machine", table_));
  EXPECT_TRUE(read_timings(path_, "another").empty());
}

TEST_F(TimingFile, MissingOrForeignFileIsEmpty) {
  EXPECT_TRUE(read_timings(path_, "machine").empty());
  write_text("something else\nmachine\nkey\tname\t1\t1\n");
  EXPECT_TRUE(read_timings(path_, "machine").empty());
}

TEST_F(TimingFile, LeavesOutLinesThatDoNotParse) {
  using Fields = std::vector<std::string>;
  for (const Fields& bad : {Fields{},
                            {"name", "1"},
                            {"name", "x", "1"},
                            {"name", "nan", "1"},
                            {"name", "-1", "1"},
                            {"name", "1", "-1"},
                            {"name", "1", "1", "more"}}) {
    const std::string format = "face-worker layer timings 2";
    ASSERT_TRUE(write_timings(path_, "machine", table_));
    LineTable lines = read_lines(path_, format, "machine");
    ASSERT_EQ(lines.size(), 2u);
    lines["bad"] = bad;
    ASSERT_TRUE(write_lines(path_, format, "machine", lines));
    EXPECT_EQ(read_timings(path_, "machine").size(), 2u) << testing::PrintToString(bad);
  }
}

TEST_F(TimingFile, LeavesOutLinesWithAWrongByteAndKeepsTheOthers) {
  ASSERT_TRUE(write_timings(path_, "machine", table_));
  const std::string whole = text();
  const size_t lines = whole.find("28 320");
  for (size_t i = lines; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    write_text(broken);
    const TimingTable read = read_timings(path_, "machine");
    EXPECT_LE(read.size(), 1u) << "byte " << i;
    for (const auto& [key, timings] : read) EXPECT_TRUE(table_.contains(key)) << "byte " << i;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    write_text(whole.substr(0, size));
    EXPECT_LE(read_timings(path_, "machine").size(), size + 1 == whole.size() ? 2u : 1u);
  }
}

TEST_F(TimingFile, FolderThatIsNotThereIsNoError) {
  EXPECT_FALSE(write_timings(folder_ / "none" / "file", "machine", table_));
}

TEST(MachineLine, IsOneLineThatNamesKernelsAndLibrary) {
  const std::string line = machine_line();
  EXPECT_NE(line.find("oneDNN "), std::string::npos) << line;
  EXPECT_NE(line.find("kernels "), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

}  // namespace
}  // namespace face::cpu
