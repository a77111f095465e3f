// SPDX-License-Identifier: MIT
// The file of layer timings: what it keeps, and what it refuses to believe.
#include "engine/cpu/timing_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "engine/line_file.h"

namespace face::cpu {
namespace {

size_t lines_of(const Measurements& m) { return m.timings.size() + m.errors.size(); }

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

  const Measurements table_ = {
      {{"28 320 320 ", {{"onednn", 7.5, 1000}, {"winograd4x4", 2.0 / 3, 4000}}},
       {"other", {{"plain", 0.125, 0}}}},
      {{"digest ways", 1.0 / 70}}};
  std::filesystem::path folder_, path_;
};

TEST_F(TimingFile, KeepsWhatWasWritten) {
  ASSERT_TRUE(write_measurements(path_, "machine", table_));
  const Measurements read = read_measurements(path_, "machine");
  ASSERT_EQ(read.timings.size(), 2u);
  EXPECT_EQ(read.errors, table_.errors);
  const std::vector<Timing>& timings = read.timings.at("28 320 320 ");
  ASSERT_EQ(timings.size(), 2u);
  EXPECT_EQ(timings[1].name, "winograd4x4");
  EXPECT_EQ(timings[1].milliseconds, 2.0 / 3);  // to the last bit: choices repeat
  EXPECT_EQ(timings[1].weight_bytes, 4000u);
}

TEST_F(TimingFile, LeavesNoTemporaryFile) {
  ASSERT_TRUE(write_measurements(path_, "machine", table_));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(TimingFile, OfAnotherMachineIsEmpty) {
  ASSERT_TRUE(write_measurements(path_, "machine", table_));
  EXPECT_EQ(lines_of(read_measurements(path_, "another")), 0u);
}

TEST_F(TimingFile, MissingOrForeignFileIsEmpty) {
  EXPECT_EQ(lines_of(read_measurements(path_, "machine")), 0u);
  write_text("something else\nmachine\nkey\tname\t1\t1\n");
  EXPECT_EQ(lines_of(read_measurements(path_, "machine")), 0u);
}

TEST_F(TimingFile, LeavesOutLinesThatDoNotParse) {
  using Line = std::pair<std::string, std::vector<std::string>>;
  for (const Line& bad : {Line{"bad", {}},
                          {"bad", {"name", "1"}},
                          {"bad", {"name", "x", "1"}},
                          {"bad", {"name", "nan", "1"}},
                          {"bad", {"name", "-1", "1"}},
                          {"bad", {"name", "1", "-1"}},
                          {"bad", {"name", "1", "1", "more"}},
                          {"error bad", {}},
                          {"error bad", {"x"}},
                          {"error bad", {"nan"}},
                          {"error bad", {"-1"}},
                          {"error bad", {"0.1", "0.1"}}}) {
    const std::string format = "face-worker layer timings 3";
    ASSERT_TRUE(write_measurements(path_, "machine", table_));
    LineTable lines = read_lines(path_, format, "machine");
    ASSERT_EQ(lines.size(), 3u);
    lines.insert(bad);
    ASSERT_TRUE(write_lines(path_, format, "machine", lines));
    EXPECT_EQ(lines_of(read_measurements(path_, "machine")), 3u) << testing::PrintToString(bad);
  }
}

TEST_F(TimingFile, LeavesOutLinesWithAWrongByteAndKeepsTheOthers) {
  ASSERT_TRUE(write_measurements(path_, "machine", table_));
  const std::string whole = text();
  const size_t lines = whole.find("28 320");
  for (size_t i = lines; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    write_text(broken);
    const Measurements read = read_measurements(path_, "machine");
    EXPECT_LE(lines_of(read), 2u) << "byte " << i;
    for (const auto& [key, timings] : read.timings)
      EXPECT_TRUE(table_.timings.contains(key)) << "byte " << i;
    for (const auto& [key, error] : read.errors)
      EXPECT_TRUE(table_.errors.contains(key)) << "byte " << i;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    write_text(whole.substr(0, size));
    EXPECT_LE(lines_of(read_measurements(path_, "machine")), size + 1 == whole.size() ? 3u : 2u);
  }
}

TEST_F(TimingFile, FolderThatIsNotThereIsNoError) {
  EXPECT_FALSE(write_measurements(folder_ / "none" / "file", "machine", table_));
}

TEST(MachineLine, IsOneLineThatNamesKernelsAndLibrary) {
  const std::string line = machine_line();
  EXPECT_NE(line.find("oneDNN "), std::string::npos) << line;
  EXPECT_NE(line.find("kernels "), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

}  // namespace
}  // namespace face::cpu
