// SPDX-License-Identifier: MIT
// .npy files as NumPy and others write them, and what is refused.
#include "engine/tools/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "engine/error.h"

namespace face {
namespace {

class Npy : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  void write(const std::string& header, const std::string& values) const {
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(header.size() & 255);
    bytes += static_cast<char>(header.size() >> 8);
    std::ofstream(path_, std::ios::binary) << bytes << header << values;
  }
  [[nodiscard]] std::string refusal() const {
    try {
      (void)read_npy(path_);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  const std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".npy");
};

TEST_F(Npy, KeepsWhatWasWritten) {
  const NpyArray array{{2, 1, 3}, {1, 2, 3, 4, 5, -0.5F}};
  write_npy(path_, array);
  const NpyArray read = read_npy(path_);
  EXPECT_EQ(read.shape, array.shape);
  EXPECT_EQ(read.values, array.values);
}

TEST_F(Npy, AnyOrderAndSpacing) {
  write("{'shape': (2,), 'descr':'<f4','fortran_order':False}\n", std::string(8, '\0'));
  EXPECT_EQ(read_npy(path_).shape, std::vector<int64_t>{2});
  write("{'descr': '<f4', 'shape': (), 'fortran_order': False, }", std::string(4, '\0'));
  EXPECT_TRUE(read_npy(path_).shape.empty());
}

TEST_F(Npy, RefusesNamingTheReason) {
  const auto header = [](const char* type, const char* order, const char* shape) {
    return std::string("{'descr': ") + type + ", 'fortran_order': " + order +
           ", 'shape': " + shape + ", }";
  };
  const std::string eight(8, '\0');
  const struct {
    std::string header, reason;
  } cases[] = {
      {header("'<f8'", "False", "(1,)"), "type <f8"},
      {header("'<f4'", "True", "(2,)"), "Fortran order"},
      {header("'<f4'", "False", "(3,)"), "8 bytes of values, the shape says 12"},
      {header("'<f4'", "False", "(-2,)"), "shape (-2,)"},
      {header("'<f4'", "False", "(99999999999999999999,)"), "shape ("},
      {header("'<f4'", "False", "(65536, 65536)"), "shape ("},
      {header("'<f4'", "False", "2"), "broken 'shape'"},
      {header("'<f4'", "False", "(2"), "broken 'shape'"},
      {"{'descr': '<f4', 'fortran_order': False", "broken 'fortran_order'"},
      {"{'fortran_order': False, 'shape': (2,)}", "without 'descr'"},
      {"{'descr':", "broken 'descr'"},
      {"", "without 'descr'"},
  };
  for (const auto& c : cases) {
    write(c.header, eight);
    EXPECT_NE(refusal().find(c.reason), std::string::npos) << c.header << ": " << refusal();
    EXPECT_NE(refusal().find(path_.string()), std::string::npos) << refusal();
  }
  std::ofstream(path_) << "not an array";
  EXPECT_NE(refusal().find("not an .npy file"), std::string::npos) << refusal();
  std::filesystem::remove(path_);
  EXPECT_NE(refusal().find("cannot be opened"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace face
