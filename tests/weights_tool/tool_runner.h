// SPDX-License-Identifier: MIT
// tests/weights_tool/tool_runner.h - runs weights_tool as a user does, in a folder of its own with
// a small detector, a small recogniser and a model that is neither.
#pragma once

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/onnx_file.h"
#include "tests/weights_tool/model_graphs.h"

namespace face::test {

struct ToolResult {
  int exit_code = -1;
  std::string output, errors;
};

class ToolRunner : public testing::Test {
 protected:
  ToolRunner() : pack_(folder_ / "out.fwp") {
    write_onnx(DetectorGraph({}).graph(), folder_ / "det.onnx");
    write_onnx(RecogniserGraph({}).graph(), folder_ / "rec.onnx");
    onnx::Graph other = RecogniserGraph({}).graph();
    other.inputs[0].dims = {-1, 3, 96, 96};
    write_onnx(other, folder_ / "genderage.onnx");
  }

  /// `arguments` as a shell would take them.
  [[nodiscard]] ToolResult run(const std::string& arguments) const {
    const std::string command = std::string(WEIGHTS_TOOL) + " " + arguments + " >" +
                                file("stdout") + " 2>" + file("stderr");
    const int status = std::system(command.c_str());  // NOLINT(cert-env33-c): our own words
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_bytes(folder_ / "stdout"),
            read_bytes(folder_ / "stderr")};
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return (folder_ / name).string();
  }

  /// A code that scripts see, and one line that begins with the program's name.
  static void expect_one_line(const ToolResult& r, const std::string& message) {
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_THAT(r.errors, testing::StartsWith("weights_tool: "));
    EXPECT_THAT(r.errors, testing::HasSubstr(message));
    EXPECT_EQ(r.errors.find('\n'), r.errors.size() - 1);
  }

  TemporaryFolder folder_;
  const std::filesystem::path pack_;
};

}  // namespace face::test
