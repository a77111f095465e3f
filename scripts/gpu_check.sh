#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/gpu_check.sh - everything that only a GPU can show, in one command and under 9 minutes:
# tests, compute-sanitizer, times of layers and networks, the worker under load, the host's CPU and its kernels, other
# runtimes on both.
#
#   scripts/gpu_check.sh [--quick]          builds for this machine's GPU and checks it
#   scripts/gpu_check.sh --pack FILE [ARCHITECTURES]
#                                           on a machine with nvcc: builds (for 90, unless told) and
#                                           packs what a check runs, libraries included
#   scripts/gpu_check.sh --from FILE [--quick]
#                                           checks with what --pack made: needs driver and python3 alone
#   scripts/gpu_check.sh --dry-run          names the steps and what this machine lacks for them
#
# Each step has a limit of its own and loses nothing of the others. Writes bench/results/GPU.md and
# .json (FACE_RESULTS names another folder), logs beside them in GPU.logs.
# Exit codes: 0 all passed, 1 a step failed, 2 wrong usage or build failed, 3 no GPU.
# Environment: FACE_SHARED (photos and models; generated ones without), FACE_CACHE.
set -uo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"
cd "$project_dir" || exit 2

export FACE_SHARED=${FACE_SHARED:-$project_dir/../shared}
export FACE_BUILD_DIR=${FACE_BUILD_DIR:-$project_dir/build-gpu}
build_dir=$FACE_BUILD_DIR
cpu_tests=(conv_direct_test conv_winograd_test conv_bf16_maps_test map_storage_test)
targets=(face-worker face_exec weights_tool gpu_bench machine_limits gpu_tests "${cpu_tests[@]}")
quick=${GPU_CHECK_QUICK:-}
total=520  # seconds for all steps

# ---- what the steps do; $work is the folder of this check, $build_dir where the programs lie ----

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }

step_machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit --format=csv,noheader
  nvidia-smi
  grep -m1 'model name' /proc/cpuinfo
  echo "cores: $(cores)"
  find_nvcc >/dev/null && "$(find_nvcc)" --version | tail -2
  return 0
}

step_build() {
  scripts/setup.sh test bench || say "Packages could not be installed: building with what is there."
  FACE_CMAKE_ARGS="-DFACE_CUDA=ON -DFACE_BUILD_BENCH=ON ${FACE_CMAKE_ARGS:-}"
  configure_and_build "${targets[@]}"
}

step_models() {
  local tool=$build_dir/bin/weights_tool
  "$tool" synth buffalo_l -o "$work/onnx" && "$tool" convert "$work"/onnx/*.onnx -o "$work/large.fwp"
  if [ -d "$FACE_SHARED/models" ]; then
    "$tool" convert "$FACE_SHARED/models/scrfd_500m_bnkps.onnx" \
      "$FACE_SHARED/models/arcface_mobilefacenet_y1.onnx" -o "$work/photos.fwp"
    "$tool" convert "$FACE_SHARED/models/scrfd_2.5g_bnkps.onnx" -o "$work/medium.fwp"
  else
    ln -sf large.fwp "$work/photos.fwp"
  fi
}

# Every test that runs on a GPU; a skipped one is a failure there.
step_tests() {
  local failed=0
  for test in "$build_dir"/tests/gpu_*_test; do
    echo "== $(basename "$test")"
    FACE_REQUIRE_CUDA=1 "$test" || failed=1
  done
  return "$failed"
}

# Small shapes: every kernel class once. "Table" cases of ops are convolutions.
step_sanitizer() {
  command -v compute-sanitizer >/dev/null || { echo "MISSING: compute-sanitizer"; return 77; }
  local tests=$build_dir/tests failed=0
  for tool in memcheck racecheck synccheck; do
    for run in gpu_wrappers_test:'*' gpu_ops_test:'*28_channels*:*split_in_three*:Ops.*' \
      gpu_pixels_test:'Pixels.*:*FindsWhat*' gpu_engine_test:'*NetworksAgree*'; do
      [ -z "$quick" ] || [ "$tool" = memcheck ] || continue
      echo "== $tool ${run%%:*}"
      FACE_REQUIRE_CUDA=1 compute-sanitizer --tool "$tool" --error-exitcode 1 \
        "$tests/${run%%:*}" --gtest_filter="${run#*:}" || failed=1
    done
  done
  return "$failed"
}

# The first run chooses between cuDNN and our kernels, and keeps its choice beside the weights.
step_autotune() {
  "$build_dir/bin/gpu_bench" --model "$work/large.fwp" --det-batches 1 8 32 --rec-batches 1 8 32 64 \
    --json "$work/networks.json"
}

step_own_kernels() {
  "$build_dir/bin/gpu_bench" --model "$work/large.fwp" --no-cudnn --det-batches 1 8 32 \
    --rec-batches 1 8 32 64 --json "$work/own_kernels.json"
}

# load NAME FOLDER CLIENTS REQUESTS: the worker on photos over loopback HTTP.
load() {
  echo "== $1"
  python3 bench/http_load.py --worker "$build_dir/bin/face-worker" --model "$work/photos.fwp" \
    --photos "$2" --clients "$3" --requests "$4" --scan-photos "$4" -- --device cuda
}

step_http() {
  local requests=${quick:+400}
  if python3 bench/make_pictures.py "$work/large" 1920 1080; then
    load "1080p, generated" "$work/large" 32 "${requests:-2000}" || return 1
  fi
  if [ -d "$FACE_SHARED/lfw_mini" ]; then
    load "250 px, real photos" "$FACE_SHARED/lfw_mini" 32 "${requests:-6000}"
  else
    python3 bench/make_pictures.py "$work/small" 250 250 || return 77
    load "250 px, generated" "$work/small" 32 "${requests:-6000}"
  fi
}

# What the fallback reaches on this host, whose CPU may well have AMX: two cores, for others are measured so.
step_cpu() {
  local flags precisions=fp32
  flags=$(grep -owE 'avx2|avx512f|avx512_bf16|amx_bf16' /proc/cpuinfo | sort -u | xargs)
  [[ $flags != *bf16* ]] || precisions="fp32 bf16"
  echo "CPU has: ${flags:-none of AVX2, AVX-512, AMX}"
  "$build_dir/bin/machine_limits" --threads 2
  for network in detector:640 recogniser:112; do
    python3 bench/make_input.py "${network#*:}" "$work/input.npy" || return 77
    for precision in $precisions; do
      echo "== ${network%:*} $precision"
      "$build_dir/bin/face_exec" --model "$work/large.fwp" --network "${network%:*}" --device cpu --threads 2 \
        --precision "$precision" --input "$work/input.npy" --output "$work/outputs" --iterations 30 --profile || return 1
    done
  done
}

# Kernels for AVX-512, bfloat16 and AMX, which few machines have.
step_cpu_tests() {
  local failed=0
  for test in "${cpu_tests[@]}"; do
    echo "== $test"
    "$build_dir/tests/$test" --gtest_brief=1 || failed=1
  done
  return "$failed"
}

step_cpu_peers() {
  python3 -c 'import numpy, onnxruntime' 2>/dev/null || { echo "MISSING: numpy and onnxruntime for python3"; return 77; }
  local models=$FACE_SHARED/models networks=(
    "det_10g=$work/large.fwp:detector:$work/onnx/det_10g.onnx:640"
    "w600k_r50=$work/large.fwp:recogniser:$work/onnx/w600k_r50.onnx:112")
  [ ! -d "$models" ] || networks+=(
    "scrfd_2.5g=$work/medium.fwp:detector:$models/scrfd_2.5g_bnkps.onnx:640"
    "scrfd_500m=$work/photos.fwp:detector:$models/scrfd_500m_bnkps.onnx:640"
    "y1=$work/photos.fwp:recogniser:$models/arcface_mobilefacenet_y1.onnx:112")
  for network in "${networks[@]}"; do  # a table each: a limit that cuts one off leaves the others
    python3 bench/peers.py --bin "$build_dir/bin" --threads 2 --precision auto --rounds 3 --seconds 0.3 \
      "$network" || return 1
  done
}

step_peers() { python3 bench/gpu_peers.py "$work/onnx"; }

# NAME:SECONDS:QUICK SECONDS (0: left out)
all_steps=(machine:20:20 models:60:60 tests:120:60 sanitizer:120:40 autotune:120:90 own_kernels:60:0
  http:90:45 cpu:40:30 cpu_tests:40:30 cpu_peers:120:90 peers:90:0)

# ---- how they are run ----

# run_step NAME SECONDS: its output to a log, the last lines to the screen; notes how it went.
run_step() {
  local code=0 begin=$SECONDS log=$work/$1.log limit=$2
  [ "$limit" -le $((total - begin)) ] || limit=$((total - begin))
  say "==== $1 (at most $limit s)"
  if [ "$limit" -lt 5 ]; then
    echo "MISSING: time" >"$log"
    code=124
  else
    timeout --kill-after=5 "$limit" bash "$0" --step "$1" >"$log" 2>&1 || code=$?
  fi
  tail -n 25 "$log"
  case $code in
    0) outcome=passed ;;
    77) outcome='left out' ;;
    124 | 137) outcome="out of time" ;;
    *) outcome=failed ;;
  esac
  printf '%s\t%s\t%s\n' "$1" "$outcome" "$((SECONDS - begin))" >>"$work/steps.tsv"
}

watch_gpu() {
  nvidia-smi --query-gpu=power.draw,memory.used,clocks.sm,temperature.gpu --format=csv,noheader,nounits \
    -lms 500 >"$work/gpu.csv" 2>/dev/null &
}

# Of the steps so far: after each, so that a check that is ended from outside leaves what it had.
report() { python3 bench/gpu_report.py "$work" "${FACE_RESULTS:-$project_dir/bench/results}"; }

check() {
  make_work_folder
  export work GPU_CHECK_QUICK=$quick
  watch_gpu
  if [ -n "$from" ]; then
    mkdir -p "$build_dir" && tar -xf "$from" -C "$build_dir" || exit 2
  else
    run_step build 330
    [ "$outcome" = passed ] || exit 2
  fi
  for step in "${all_steps[@]}"; do
    IFS=: read -r name limit quick_limit <<<"$step"
    [ -z "$quick" ] || limit=$quick_limit
    [ "$limit" = 0 ] && continue
    run_step "$name" "$limit"
    report >/dev/null
  done
  report || exit 1
  column -t -s$'\t' "$work/steps.tsv" 2>/dev/null || cat "$work/steps.tsv"
  ! grep -qvP '\t(passed|left out)\t' "$work/steps.tsv"
}

# Programs and every library of theirs but glibc's, found beside them wherever they are unpacked.
pack() {
  export FACE_CMAKE_ARGS="-DFACE_CUDA=ON -DFACE_CUDA_ARCHITECTURES=${2:-90} -DFACE_BUILD_BENCH=ON
    -DCMAKE_BUILD_RPATH=\$ORIGIN/../lib -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags"
  FACE_CMAKE_ARGS=${FACE_CMAKE_ARGS//$'\n'/ }
  configure_and_build "${targets[@]}"
  local folder
  folder=$(mktemp -d)
  mkdir "$folder/bin" "$folder/tests" "$folder/lib"
  for program in "$build_dir"/bin/{face-worker,face_exec,weights_tool,gpu_bench,machine_limits}; do
    strip -o "$folder/bin/$(basename "$program")" "$program"
  done
  for program in "$build_dir"/tests/gpu_*_test "${cpu_tests[@]/#/$build_dir/tests/}"; do
    strip -o "$folder/tests/$(basename "$program")" "$program"
  done
  ldd "$folder"/bin/* "$folder"/tests/* | awk '$2 == "=>" {print $3}' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread)\.so' | xargs -I{} cp -L {} "$folder/lib/"
  tar -C "$folder" -caf "$1" bin tests lib && rm -rf "$folder"
  say "$1: $(du -m "$1" | cut -f1) MB"
}

dry_run() {
  for step in build:330:330 "${all_steps[@]}"; do
    IFS=: read -r name limit quick_limit <<<"$step"
    echo "$name: at most $limit s, with --quick $quick_limit s"
  done
  find_nvcc >/dev/null || echo "MISSING: nvcc, so only --from FILE can be used"
  command -v compute-sanitizer >/dev/null || echo "MISSING: compute-sanitizer, its step is left out"
  python3 bench/gpu_peers.py --list
  python3 bench/make_pictures.py --list
}

from=
mode=check
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --from) from=${2:?--from wants a file}; shift ;;
    --pack) pack "${2:?--pack wants a file}" "${3:-}"; exit ;;
    --step) "step_$2"; exit ;;
    --dry-run) mode=dry_run ;;
    *) echo "usage: scripts/gpu_check.sh [--quick] [--from FILE] | --pack FILE [ARCH] | --dry-run" >&2; exit 2 ;;
  esac
  shift
done
[ "$mode" = check ] || dry_run
has_gpu || { say "There is no GPU here (nvidia-smi shows none): nothing was checked."; exit 3; }
[ "$mode" = dry_run ] || check
