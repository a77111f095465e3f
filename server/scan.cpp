// SPDX-License-Identifier: MIT
// server/scan.cpp - files in, lines out, in order.
#include "server/scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>

#include "server/inference.h"
#include "server/json_writer.h"
#include "server/progress_bar.h"

namespace face {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLineStart = "{\"file\":";

/// What decoders take, and what they refuse by name, so that every photo has its line.
constexpr std::array<std::string_view, 15> kEndings{".jpg",  ".jpeg", ".jpe",  ".jfif", ".png",
                                                    ".webp", ".bmp",  ".gif",  ".tif",  ".tiff",
                                                    ".heic", ".heif", ".avif", ".jxl",  ".jp2"};

[[noreturn]] void fail_io(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::kIo, path.string() + ": " + what + ": " + std::strerror(errno));
}

bool looks_like_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

std::string json_string(const std::string& text) {
  std::string out;
  append_json_string(&out, text);
  return out;
}

/// The "file" value of a line as a JSON string, or nothing if that is no line of ours.
std::optional<std::string> file_of(const std::string& line) {
  if (line.compare(0, kLineStart.size(), kLineStart) != 0 || line.back() != '}') return {};
  size_t end = kLineStart.size();
  if (end >= line.size() || line[end] != '"') return {};
  for (++end; end < line.size() && line[end] != '"'; ++end) {
    if (line[end] == '\\') ++end;
  }
  if (end + 1 >= line.size() || line[end + 1] != ',') return {};
  return line.substr(kLineStart.size(), end + 1 - kLineStart.size());
}

/// A file that is appended to, line by line.
class LineWriter {
 public:
  LineWriter(fs::path path, std::uintmax_t keep) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) fail_io(path_, "cannot be opened for writing");
    if (::ftruncate(fd_, off_t(keep)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0) {
      const int error = errno;
      ::close(fd_);
      errno = error;
      fail_io(path_, "cannot be cut to its last whole line");
    }
  }
  ~LineWriter() { ::close(fd_); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  void write(std::string_view line) {
    while (!line.empty()) {
      const ssize_t put = ::write(fd_, line.data(), line.size());
      if (put < 0 && errno != EINTR) fail_io(path_, "cannot be written");
      line.remove_prefix(size_t(std::max<ssize_t>(put, 0)));
    }
  }

 private:
  const fs::path path_;
  int fd_;
};

std::vector<uint8_t> read_file(const fs::path& path, size_t max_bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail_io(path, "cannot be read");
  const auto size = size_t(file.tellg());
  if (size > max_bytes) {
    throw Error(ErrorKind::kTooLarge, "file of " + std::to_string(size) +
                                          " bytes is larger than the limit of " +
                                          std::to_string(max_bytes));
  }
  std::vector<uint8_t> bytes(size);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), std::streamsize(size));
  if (size_t(file.gcount()) != size) fail_io(path, "cannot be read");
  return bytes;
}

/// One picture on its way.
struct Begun {
  std::string file;
  std::vector<uint8_t> bytes;
  PictureFuture future;
  std::string error;  // instead of a future
};

/// Errors that concern one picture; any other ends the scan.
bool is_of_picture(ErrorKind kind) {
  return kind == ErrorKind::kBadImage || kind == ErrorKind::kUnsupportedFormat ||
         kind == ErrorKind::kTooLarge || kind == ErrorKind::kIo || kind == ErrorKind::kInternal ||
         kind == ErrorKind::kBusy;
}

Begun begin(const std::string& file, const Config& config, Inference* inference) {
  Begun begun;
  begun.file = file;
  try {
    begun.bytes = read_file(fs::path(config.scan_folder) / file, config.image.max_bytes);
    begun.future = inference->submit({begun.bytes, nullptr}, /*wait=*/true);
  } catch (const Error& error) {
    if (!is_of_picture(error.kind())) throw;
    begun.error = error.what();
  }
  return begun;
}

std::string line_of(Begun* begun, ScanSummary* summary) {
  std::string line(kLineStart);
  append_json_string(&line, begun->file);
  const size_t start = line.size();
  try {
    if (!begun->future.valid()) throw Error(ErrorKind::kIo, begun->error);
    const PictureResult result = begun->future.get();
    line += ',';
    append_faces(&line, result.faces, result.width, result.height);
    summary->faces += result.faces.size();
  } catch (const Error& error) {
    if (!is_of_picture(error.kind())) throw;
    line.resize(start);
    line.append(",\"error\":");
    append_json_string(&line, error.what());
    ++summary->failed;
  }
  ++summary->pictures;
  return line + "}\n";
}

std::atomic<bool> interrupted{false};

void on_interrupt(int /*signal*/) {
  if (interrupted.exchange(true)) std::_Exit(130);
}

}  // namespace

std::vector<std::string> find_pictures(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored) && looks_like_picture(it->path())) {
      files.push_back(it->path().lexically_relative(folder).string());
    }
  }
  if (error) throw Error(ErrorKind::kIo, folder.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

ScanProgress read_progress(const fs::path& output) {
  ScanProgress progress;
  if (!fs::exists(output)) return progress;
  std::ifstream file(output, std::ios::binary);
  if (!file) fail_io(output, "cannot be read");
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (file.eof()) break;  // no line end: torn
    const auto name = file_of(line);
    if (!name) {
      throw Error(ErrorKind::kInvalidArgument, output.string() + ": line " +
                                                   std::to_string(number) +
                                                   " is not of a scan; choose another output file");
    }
    progress.done.insert(*name);
    progress.whole_bytes += line.size() + 1;
  }
  return progress;
}

ScanSummary scan_folder(const Config& config, std::unique_ptr<FaceService> service,
                        const PictureDecoder& decoder, const std::atomic<bool>& stop) {
  const ScanProgress progress = read_progress(config.scan_output);
  const std::vector<std::string> files = find_pictures(config.scan_folder);
  std::vector<std::string> left;
  for (const std::string& file : files) {
    if (progress.done.count(json_string(file)) == 0) left.push_back(file);
  }
  LineWriter output(config.scan_output, progress.whole_bytes);
  Metrics metrics;
  InferenceOptions options;
  options.decode_threads = config.decode_threads;
  options.decode_budget = config.decode_budget;
  options.patience = std::chrono::hours(24);
  options.stuck_after = std::chrono::hours(24);
  const ServiceInfo& info = service->info();
  options.max_pictures =
      size_t(info.max_batch) * size_t(1 + info.instances) + size_t(config.decode_threads);
  ScanSummary summary;
  summary.skipped = files.size() - left.size();
  ProgressBar bar(left.size());
  std::deque<Begun> begun;
  Inference inference(std::move(service), decoder, options, metrics);  // ends before the bytes do
  const auto finish_first = [&] {
    output.write(line_of(&begun.front(), &summary));
    begun.pop_front();
    bar.update(summary.pictures, summary.failed);
  };
  for (const std::string& file : left) {
    if (stop) break;
    if (begun.size() == options.max_pictures) finish_first();
    begun.push_back(begin(file, config, &inference));
  }
  while (!begun.empty()) finish_first();
  summary.stopped = stop.load();
  return summary;
}

int scan(const Config& config, const ServiceFactory& factory, const PictureDecoder& decoder) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  const auto begin = std::chrono::steady_clock::now();
  const ScanSummary summary = scan_folder(config, factory(), decoder, interrupted);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::fprintf(stderr,
               "%zu pictures in %.1f s (%.1f/s), %zu faces, %zu failed, %zu done before; %s\n",
               summary.pictures, seconds, double(summary.pictures) / std::max(seconds, 1e-9),
               summary.faces, summary.failed, summary.skipped, config.scan_output.c_str());
  if (!summary.stopped) return 0;
  std::fputs("Stopped. The same command goes on from here.\n", stderr);
  return 130;
}

}  // namespace face
