// SPDX-License-Identifier: MIT
// engine/cpu/cpu_pipeline.h - pictures to faces with networks that run on the CPU.
#pragma once

#include <memory>

#include "engine/backend.h"
#include "engine/pack.h"

namespace face {

/// Most candidates of one image that go into non-maximum suppression, the best by score; so also
/// the most faces of an image. A picture of noise at threshold 0 gives four times as many.
constexpr size_t kMaxCandidates = 4096;

/// Compiles the pack's networks with `backend`, one detector per size in `options.det_sizes`, and
/// allocates everything that run() needs but the faces it returns. Runs the recogniser once, so
/// that broken weights show here. `backend` is used during the call only.
/// Work outside the networks is spread over `options.threads` (0: every core of this process), one
/// image or face per task.
/// Errors: kInvalidArgument - an option out of range, message names it; kBadModel - the pack has no
/// detector, or a recogniser whose input is not square; kInternal - the recogniser gives no finite
/// numbers; those of Backend::compile().
[[nodiscard]] std::unique_ptr<Pipeline> make_cpu_pipeline(Backend& backend,
                                                          std::shared_ptr<const Pack> pack,
                                                          const PipelineOptions& options);

}  // namespace face
