// SPDX-License-Identifier: MIT
// weights_tool - turns ONNX networks into a weight file, and looks into both.
#include <cstdio>
#include <exception>
#include <string>

#include "weights_tool/commands.h"

namespace {

/// Names come from files: what would break the line or command the terminal becomes '?'.
std::string one_line(std::string text) {
  for (char& c : text)
    if ((c >= 0 && c < ' ') || c == 127) c = '?';
  return text;
}

int run(int argc, char** argv) {
  CLI::App app{"Converts SCRFD detectors and ArcFace recognisers from ONNX to a weight file."};
  app.require_subcommand(1);
  face::add_convert(app);
  face::add_inspect(app);
  face::add_synth(app);
  face::add_verify(app);
  CLI11_PARSE(app, argc, argv);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "weights_tool: %s\n", one_line(e.what()).c_str());
    return 1;
  }
}
