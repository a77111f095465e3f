// SPDX-License-Identifier: MIT
// server/main.cpp - face-worker: parse, then serve or scan.
#include <cstdio>
#include <exception>

#include "engine/error.h"
#include "server/config.h"
#include "server/face_app.h"
#include "server/scan.h"
#include "server/serve.h"

namespace {

int run(face::Config config) {
  const face::ServiceFactory factory = face::engine_factory(config);
  config.http.workers = face::http_workers(config, face::runs_at_once(config.engine));
  const face::PictureDecoder decoder = face::picture_decoder(config.image);
  return config.command == face::Command::kScan ? face::scan(config, factory, decoder)
                                                : face::serve(config, factory, decoder);
}

}  // namespace

int main(int argc, char** argv) {
  face::limit_spinning(argv);
  face::tune_allocator();
  try {
    const face::ParsedConfig parsed = face::parse_config(argc, argv);
    if (parsed.config) return run(*parsed.config);
    std::fputs(parsed.text.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return parsed.exit_code;
  } catch (const face::Error& error) {
    std::fprintf(stderr, "face-worker: %s\n", error.what());
    return error.kind() == face::ErrorKind::kDeviceLost ? face::kExitDeviceLost
                                                        : face::kExitFailure;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "face-worker: %s\n", error.what());
    return face::kExitFailure;
  }
}
