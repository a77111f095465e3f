// SPDX-License-Identifier: MIT
// server/serve.h - the worker as a process: signals, start, drain, exit codes.
#pragma once

#include "server/config.h"
#include "server/face_service.h"

namespace face {

/// Serves until SIGTERM or SIGINT, then finishes what was accepted; a second signal ends the
/// process at once. Returns an ExitCode.
/// Errors: kIo - cannot listen.
[[nodiscard]] int serve(const Config& config, const ServiceFactory& factory,
                        const PictureDecoder& decoder);

/// The decoder of engine/image under `limits`.
[[nodiscard]] PictureDecoder picture_decoder(const ImageLimits& limits);

/// Opens the pack now (Error kIo or kBadModel), and compiles it when the factory is called.
[[nodiscard]] ServiceFactory engine_factory(const Config& config);

/// Bytes of memory that are resident now.
[[nodiscard]] size_t resident_bytes();

/// Starts this program anew, once, with GOMP_SPINCOUNT set: OpenMP's threads wait for each other by
/// spinning, which takes several times the useful CPU time where the cores are shared with other
/// work. The library reads the variable before main(). Does nothing where it, or OMP_WAIT_POLICY,
/// is set.
void limit_spinning(char** argv);

/// Keeps freed memory from staying with the process: few arenas, large blocks given back.
void tune_allocator();

}  // namespace face
