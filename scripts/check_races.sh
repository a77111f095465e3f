#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/check_races.sh - ThreadSanitizer over what threads share: batchers and pipelines, and those
# of a launch of a CUDA kernel under emulation, in one block and in different ones, on small shapes.
set -euo pipefail
export FACE_BUILD_DIR=${FACE_BUILD_DIR:-$(dirname "$0")/../build-tsan}
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

run() { # TEST FILTER
  say "$1 --gtest_filter=$2"
  "$build_dir/tests/$1" --gtest_brief=1 --gtest_filter="$2" || fail "$1: failed, or raced"
}

FACE_CMAKE_ARGS="-DCMAKE_BUILD_TYPE=RelWithDebInfo -DFACE_SANITIZE=thread -DFACE_CUDA=OFF ${FACE_CMAKE_ARGS:-}"
tests=(pipeline_pool_test inference_test)
kernels=(cuda_emulator_test cuda_ops_test cuda_pixels_test)
configure_and_build "${tests[@]}"
for test in "${tests[@]}"; do run "$test" '*'; done

if [ ! -d "$build_dir/kernels/cuda/emu" ]; then
  say "Boost.Context not found: the CUDA kernels are not checked"
  exit 0
fi
configure_and_build "${kernels[@]}"
# What has to be seen: threads of a block without a barrier, blocks that share a word.
broken=('*MissingBarriers*' '*BothWriteAWord' '*OneReadsWhatTheOtherWrites')
for race in "${broken[@]}"; do
  if "$build_dir/tests/cuda_emulator_test" --gtest_filter="$race" >"$build_dir/race.txt" 2>&1 ||
    ! grep -q 'WARNING: ThreadSanitizer: data race' "$build_dir/race.txt"; then
    fail "$race went unseen"
  fi
done
run cuda_emulator_test "*-$(IFS=: && echo "${broken[*]}")"
run cuda_ops_test '*'
run cuda_pixels_test '*'
