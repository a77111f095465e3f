// SPDX-License-Identifier: MIT
// server/face_app_detect.cpp - POST /detect and POST /detect-batch.
#include <chrono>
#include <deque>
#include <utility>

#include "server/face_app.h"
#include "server/json_writer.h"
#include "server/log.h"

namespace face {
namespace {

using Clock = std::chrono::steady_clock;

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kBadImage:
      return 400;
    case ErrorKind::kTooLarge:
      return 413;
    case ErrorKind::kUnsupportedFormat:
      return 415;
    case ErrorKind::kBusy:
    case ErrorKind::kDeviceLost:
      return 503;
    case ErrorKind::kBadModel:
    case ErrorKind::kDevice:
    case ErrorKind::kIo:
    case ErrorKind::kInternal:
      break;
  }
  return 500;
}

/// FastAPI's answer to a form without the field it needs.
http::Answer missing_field(const std::string& name) {
  http::Answer answer;
  answer.status = 422;
  answer.body = R"({"detail":[{"type":"missing","loc":["body",")" + name +
                R"("],"msg":"Field required","input":null}]})";
  return answer;
}

std::span<const uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string server_timing(const StageMilliseconds& stages, double total) {
  std::string out;
  for (size_t i = 0; i < stages.size(); ++i) {
    out.append(to_string(Stage(i))).append(";dur=");
    append_json_fixed(&out, stages[i], 2, "stage time");
    out.append(", ");
  }
  out.append("total;dur=");
  append_json_fixed(&out, total, 2, "total time");
  return out;
}

void append_note(std::string* note, const char* key, size_t value) {
  log::append_field(note, key, std::to_string(value));
}

/// One picture of a batch: its file name, then its answer.
void append_success(std::string* out, const PictureResult& result, double milliseconds) {
  std::string data;
  append_detection(&data, result.faces, result.width, result.height, milliseconds);
  out->append(",\"success\":true,\"data\":").append(data).append("}");
}

void append_failure(std::string* out, const char* message) {
  out->append(",\"success\":false,\"error\":");
  append_json_string(out, message);
  out->append("}");
}

struct Pending {
  const FormPart* part;
  Clock::time_point begin;
  PictureFuture future;
};

/// Waits for one picture and appends its row; counts faces.
void append_row(std::string* out, Pending pending, size_t* faces) {
  if (out->back() == '}') out->push_back(',');
  out->append("{\"filename\":");
  append_json_string(out, pending.part->file_name);
  try {
    const PictureResult result = pending.future.get();
    append_success(out, result, milliseconds_since(pending.begin));
    *faces += result.faces.size();
  } catch (const Error& error) {
    append_failure(out, error.what());
  }
}

std::vector<const FormPart*> named(const std::vector<FormPart>& parts, std::string_view name) {
  std::vector<const FormPart*> found;
  for (const FormPart& part : parts) {
    if (part.name == name) found.push_back(&part);
  }
  return found;
}

}  // namespace

std::optional<http::Answer> FaceApp::on_request(http::Request& request) {
  const bool batch = request.head.path == "/detect-batch";
  const std::string* type = request.head.find("content-type");
  const auto boundary = type == nullptr ? std::nullopt : multipart_boundary(*type);
  if (!boundary) return missing_field(batch ? "files" : "file");
  MultipartLimits limits;
  limits.max_parts = options_.max_batch_files;
  const std::vector<FormPart> parts = parse_multipart(request.body, *boundary, limits);
  try {
    return batch ? detect_batch(request, parts) : detect(request, parts);
  } catch (const Cancelled&) {
    return std::nullopt;
  } catch (const Error& error) {
    log::append_field(&request.note, "error", error.what());
    return http::detail_answer(status_of(error.kind()), error.what());
  }
}

std::optional<http::Answer> FaceApp::detect(http::Request& request,
                                            const std::vector<FormPart>& parts) {
  const Clock::time_point begin = Clock::now();
  const auto files = named(parts, "file");
  if (files.empty()) return missing_field("file");
  const auto engine = inference();
  // Of several parts FastAPI takes the last.
  const PictureResult result =
      engine->submit({as_bytes(files.back()->content), request.hung_up}, /*wait=*/false).get();
  const double total = milliseconds_since(begin);
  http::Answer answer;
  append_detection(&answer.body, result.faces, result.width, result.height, total);
  answer.headers = {{"X-Model-Fingerprint", engine->info().fingerprint},
                    {"Server-Timing", server_timing(result.stages, total)}};
  append_note(&request.note, "faces", result.faces.size());
  return answer;
}

std::optional<http::Answer> FaceApp::detect_batch(http::Request& request,
                                                  const std::vector<FormPart>& parts) {
  const Clock::time_point begin = Clock::now();
  const auto files = named(parts, "files");
  if (files.empty()) return missing_field("files");
  const auto engine = inference();
  // A window keeps one large batch from filling the queue before everybody else's pictures.
  const size_t window = size_t(engine->info().max_batch) * 2;
  http::Answer answer;
  answer.body = "{\"results\":[";
  size_t faces = 0;
  std::deque<Pending> pending;
  const auto take_first = [&] {
    Pending first = std::move(pending.front());
    pending.pop_front();
    append_row(&answer.body, std::move(first), &faces);
  };
  try {
    for (const FormPart* part : files) {
      if (pending.size() == window) take_first();
      pending.push_back({part, Clock::now(), {}});
      try {
        pending.back().future = engine->submit({as_bytes(part->content), request.hung_up}, true);
      } catch (const Error& error) {
        pending.back().future = PictureFuture::failed(error);
      }
    }
    while (!pending.empty()) take_first();
  } catch (...) {
    // The jobs that still run read the body of this request.
    for (Pending& rest : pending) {
      if (rest.future.valid()) rest.future.wait();
    }
    throw;
  }
  answer.body += "],\"total\":" + std::to_string(files.size()) + "}";
  answer.headers = {{"X-Model-Fingerprint", engine->info().fingerprint},
                    {"Server-Timing", server_timing({}, milliseconds_since(begin))}};
  append_note(&request.note, "pictures", files.size());
  append_note(&request.note, "faces", faces);
  return answer;
}

}  // namespace face
