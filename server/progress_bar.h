// SPDX-License-Identifier: MIT
// server/progress_bar.h - a line on stderr: share done, rate, time left.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace face {

/// One bar's text, without line ends: "[=====>    ]  1234/5678  21%  35.2/s  2:06 left  3 failed".
[[nodiscard]] std::string progress_text(size_t done, size_t total, size_t failed, double seconds);

/// Draws at most some times a second; on something that is no terminal, a line now and then.
class ProgressBar {
 public:
  explicit ProgressBar(size_t total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void update(size_t done, size_t failed);

 private:
  void draw(size_t done, size_t failed);

  const size_t total_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point next_;
  size_t done_ = 0, failed_ = 0;
};

}  // namespace face
