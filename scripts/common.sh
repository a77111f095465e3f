# SPDX-License-Identifier: MIT
# scripts/common.sh - sourced by the other scripts: where things are, how to say things.
# shellcheck shell=bash
project_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${FACE_BUILD_DIR:-$project_dir/build}
# shellcheck disable=SC2034  # used by the scripts that source this
# Things fetched once: model packs, headers, results of slow checks.
cache_dir=${FACE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/face-worker}
# ccache finds its objects again wherever the checkout lies.
export CCACHE_BASEDIR=$project_dir CCACHE_NOHASHDIR=1

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}
cores() { nproc 2>/dev/null || echo 2; }

# make_work_folder: sets work to a new folder. When the script ends, the folder goes and what the
# script left running in the background is ended.
make_work_folder() {
  work=$(mktemp -d)
  # shellcheck disable=SC2046  # one word per process
  trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
}

# find_nvcc: prints the CUDA compiler's path; fails where there is none.
find_nvcc() { command -v "${NVCC:-nvcc}" || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; }; }

# find_cuda11: sets nvcc11 to CUDA 11.8's compiler, fetched if need be, and nvcc11_host to the C++
# compiler that it is to use, "" for its own choice.
find_cuda11() {
  local found
  found=$("$project_dir/scripts/get_cuda11.sh") || exit
  # shellcheck disable=SC2034  # used by the scripts that source this
  nvcc11=$(sed -n 1p <<<"$found") nvcc11_host=$(sed -n 2p <<<"$found")
}

# configure_and_build TARGET...: the release preset plus what FACE_CMAKE_ARGS asks for.
configure_and_build() {
  local extra=()
  read -r -a extra <<<"${FACE_CMAKE_ARGS:-}"
  cmake -S "$project_dir" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release "${extra[@]}" ||
    fail "configuring failed, see above"
  cmake --build "$build_dir" -j "$(cores)" --target "$@" || fail "building failed, see above"
}
