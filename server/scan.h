// SPDX-License-Identifier: MIT
// server/scan.h - `face-worker scan`: a folder of pictures to one file of JSON lines.
//
// A line is {"file", "faces", "image_width", "image_height"} or {"file", "error"}; "file" is the
// path below the folder. Lines come in the order of the sorted paths. A second run keeps the lines
// that are there, cuts off a torn last one, and does the rest.
#pragma once

#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/face_service.h"

namespace face {

/// Paths below `folder` that look like pictures by their ending, sorted bytewise.
/// Errors: kIo - a folder cannot be read.
[[nodiscard]] std::vector<std::string> find_pictures(const std::filesystem::path& folder);

/// What an earlier run has left.
struct ScanProgress {
  std::set<std::string> done;      // "file" values as the JSON strings they are in the file
  std::uintmax_t whole_bytes = 0;  // up to the end of the last whole line
};
/// Errors: kIo - `output` cannot be read; kInvalidArgument - it holds something else: names line.
[[nodiscard]] ScanProgress read_progress(const std::filesystem::path& output);

struct ScanSummary {
  size_t pictures = 0, failed = 0, faces = 0, skipped = 0;
  bool stopped = false;
};

/// Runs until the folder is done or `stop` becomes true; what was begun is written then.
/// Errors: kIo - the output cannot be written; kDeviceLost and the like - the engine failed.
[[nodiscard]] ScanSummary scan_folder(const Config& config, std::unique_ptr<FaceService> service,
                                      const PictureDecoder& decoder, const std::atomic<bool>& stop);

/// The command: loads, scans with a progress bar on stderr, prints a summary. Ctrl-C stops it
/// cleanly. Returns the exit code: 0, or 130 if it was stopped.
[[nodiscard]] int scan(const Config& config, const ServiceFactory& factory,
                       const PictureDecoder& decoder);

}  // namespace face
