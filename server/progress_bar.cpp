// SPDX-License-Identifier: MIT
// server/progress_bar.cpp - drawing.
#include "server/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace face {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kReprint{10};

std::string clock_text(double seconds) {
  constexpr double kLongest = 360'000;
  const int whole = int(std::min(seconds, kLongest));
  std::array<char, 32> text{};
  if (whole < 3'600) {
    std::snprintf(text.data(), text.size(), "%d:%02d", whole / 60, whole % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%d:%02d:%02d", whole / 3'600, whole / 60 % 60,
                  whole % 60);
  }
  return text.data();
}

}  // namespace

std::string progress_text(size_t done, size_t total, size_t failed, double seconds) {
  constexpr size_t kWidth = 30;
  const double share = total == 0 ? 1.0 : double(done) / double(total);
  const double rate = seconds > 0 ? double(done) / seconds : 0.0;
  const size_t filled = size_t(share * kWidth);
  std::string bar(filled, '=');
  if (filled < kWidth) bar += '>';
  bar.resize(kWidth, ' ');
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), "[%s] %zu/%zu %3d%%  %.1f/s", bar.c_str(), done, total,
                int(share * 100), rate);
  std::string line = text.data();
  if (rate > 0) line += "  " + clock_text(double(total - done) / rate) + " left";
  if (failed > 0) line += "  " + std::to_string(failed) + " failed";
  return line;
}

ProgressBar::ProgressBar(size_t total)
    : total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      begin_(std::chrono::steady_clock::now()),
      next_(begin_) {}

ProgressBar::~ProgressBar() {
  draw(done_, failed_);
  if (terminal_) std::fputc('\n', stderr);
}

void ProgressBar::update(size_t done, size_t failed) {
  done_ = done;
  failed_ = failed;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::milliseconds(kRedraw) : kReprint);
  draw(done, failed);
}

void ProgressBar::draw(size_t done, size_t failed) {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  const std::string text = progress_text(done, total_, failed, seconds);
  std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", text.c_str());
}

}  // namespace face
