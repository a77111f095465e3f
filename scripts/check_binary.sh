#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/check_binary.sh - the worker with the CUDA engine, built by nvcc, on a machine without GPU:
# asks for nothing of NVIDIA's, falls back to the CPU, says what is missing; the GPU's tests skip,
# and fail under FACE_REQUIRE_CUDA=1. A GPU that is there is hidden. Needs nvcc and curl. What was
# checked is the bin folder's face-worker.
#
# Usage: scripts/check_binary.sh [ARCHITECTURES]   as for CMake; default: 80, with its PTX
#        scripts/check_binary.sh release           all of the release "cuda13"
#        scripts/check_binary.sh release11         "cuda11": made by CUDA 11.8 (get_cuda11.sh)
# Environment: FACE_BUILD_DIR (build-cuda; build-cuda11), MAX_MB (60) for the worker's size.
set -euo pipefail
cd "$(dirname "$0")/.."
architectures=${1:-80}
folder=build-cuda
[ "$architectures" != release11 ] || folder=build-cuda11
export FACE_BUILD_DIR=${FACE_BUILD_DIR:-$PWD/$folder}
# shellcheck source=scripts/common.sh
source scripts/common.sh
export CUDA_VISIBLE_DEVICES=''

make_work_folder
ok() { printf 'ok  %s\n' "$*"; }

cuda=(-DFACE_CUDA=ON -DFACE_WERROR=ON)
if [ "$architectures" = release11 ]; then
  find_cuda11
  cuda+=("-DFACE_CUDA_ARCHITECTURES=release" "-DCMAKE_CUDA_COMPILER=$nvcc11"
    ${nvcc11_host:+"-DCMAKE_CUDA_HOST_COMPILER=$nvcc11_host"})
else
  find_nvcc >/dev/null || fail "no nvcc: install the CUDA toolkit or set NVCC"
  cuda+=("-DFACE_CUDA_ARCHITECTURES=$architectures")
fi
FACE_CMAKE_ARGS="${cuda[*]} ${FACE_CMAKE_ARGS:-}"
configure_and_build face-worker weights_tool gpu_tests
bin=$build_dir/bin
worker=$bin/face-worker

needed=$(readelf -d "$worker" | grep NEEDED)
! grep -iE 'cuda|cudnn|cublas|nvrtc|nvidia|nvjpeg' <<<"$needed" || fail "needs what NVIDIA ships"
grep -q 'libstdc++\.so' <<<"$needed" || fail "has a C++ library of its own, that of nvcc's C++ compiler"
ok "readelf -d: $(wc -l <<<"$needed") libraries, none of NVIDIA's"

strip -o "$work/stripped" "$worker"
bytes=$(stat -c %s "$work/stripped")
[ "$bytes" -le $((${MAX_MB:-60} * 1000000)) ] || fail "$bytes bytes, stripped, are over ${MAX_MB:-60} MB"
ok "$((bytes / 1000)) kB stripped, $(($(stat -c %s "$worker") / 1000)) kB as built, for ${1:-80}"

"$bin/weights_tool" synth buffalo_s -o "$work/onnx" >/dev/null
"$bin/weights_tool" convert "$work"/onnx/*.onnx -o "$work/small.fwp" >/dev/null

# serve DEVICE: starts the worker on a port that the system picks; its log is $work/log.
serve() {
  "$worker" --model "$work/small.fwp" --host 127.0.0.1 --port 0 --device "$1" >"$work/log" 2>&1 &
  worker_pid=$!
}

serve cuda
code=0
wait "$worker_pid" || code=$?
[ "$code" = 1 ] || { cat "$work/log" >&2; fail "--device cuda exited with $code, want 1"; }
for word in 'cuda:0: no usable GPU' driver 'built with CUDA [1-9]' nvidia-smi '--device cpu'; do
  grep -qe "$word" "$work/log" || { cat "$work/log" >&2; fail "the error does not name '$word'"; }
done
ok "--device cuda: exit code 1; $(grep -oE 'cuda:0: [^"]*' "$work/log" | head -1)"

serve auto
for _ in $(seq 300); do
  port=$(sed -nE 's/.*event=listening .*port=([0-9]+).*/\1/p' "$work/log")
  health=$([ -z "$port" ] || curl -fs -m 2 "http://127.0.0.1:$port/") || true
  [[ $health != *'"device"'* ]] || break
  kill -0 "$worker_pid" 2>/dev/null || { cat "$work/log" >&2; fail "--device auto did not start"; }
  sleep 0.2
done
grep -q 'level=warning.*no usable GPU' "$work/log" || fail "--device auto logs no warning"
[[ $health == *'"warning"'*'no usable GPU'* ]] || fail "GET / has no warning: $health"
ok "--device auto: serves on the CPU; GET / and the log say why"
kill -TERM "$worker_pid"
wait "$worker_pid" || fail "--device auto: exit code $? after SIGTERM"

for test in "$build_dir"/tests/gpu_*_test; do
  "$test" >"$work/skipped" || fail "$test fails without a GPU: it has to skip"
  grep -q 'SKIPPED.*no usable GPU\|no usable GPU' "$work/skipped" || fail "$test skips without saying why"
  ! FACE_REQUIRE_CUDA=1 "$test" >/dev/null || fail "$test passes under FACE_REQUIRE_CUDA=1"
  ok "$(basename "$test"): skips, and fails under FACE_REQUIRE_CUDA=1"
done
