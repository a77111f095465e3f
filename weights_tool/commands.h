// SPDX-License-Identifier: MIT
// weights_tool/commands.h - the subcommands of weights_tool. Each adds itself to the parser with a
// callback that does the work and throws face::Error, whose message main() prints.
#pragma once

#include <CLI/CLI.hpp>

namespace face {

void add_convert(CLI::App& app);
void add_inspect(CLI::App& app);
void add_synth(CLI::App& app);
void add_verify(CLI::App& app);

}  // namespace face
