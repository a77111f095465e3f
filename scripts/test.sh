#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/test.sh - builds everything and runs every test; ends with CTest's summary.
#
# With ../shared, or the folder FACE_SHARED names, tests against real photos, models and hostile
# files run too; without it they are skipped and say so. Arguments go to ctest (-R NAME, -V, ...).
# Environment: FACE_CMAKE_ARGS for cmake, FACE_BUILD_DIR, FACE_REQUIRE_CUDA=1 on a GPU machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

"$project_dir/scripts/setup.sh" test
configure_and_build all
# Tests share the cores: OpenMP's threads that wait must not keep those of a neighbour from working.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
ctest --test-dir "$build_dir" --output-on-failure -j "$(cores)" "$@"
