// SPDX-License-Identifier: MIT
// server/log.h - the structured log: one line of key=value pairs per event, on stderr.
//
// Lines go through a queue to a thread of their own; a full pipe or a closed descriptor costs
// lines, which are counted, and never a request.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace face::log {

enum class Level { kDebug, kInfo, kWarning, kError };
/// The words of parse_level(), for help and messages.
inline constexpr const char* kLevelWords = "debug, info, warning or error";
/// Throws Error(kInvalidArgument) that names the value.
[[nodiscard]] Level parse_level(const std::string& text);

using Field = std::pair<std::string_view, std::string>;

/// Starts the log; before it, and after stop(), lines are dropped.
void start(Level level);
/// Writes what is queued, waiting at most a moment for a reader that does not read.
void stop();
/// `extra` is appended as it is: pairs that are formatted already.
void write(Level level, std::string_view event, std::initializer_list<Field> fields,
           std::string_view extra = {});
/// Lines that could not be written.
[[nodiscard]] uint64_t dropped();

/// key=value, the value in quotes where it needs them.
void append_field(std::string* line, std::string_view key, std::string_view value);

}  // namespace face::log
