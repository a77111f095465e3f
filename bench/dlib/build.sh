#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench/dlib/build.sh - builds dlib_bench twice: with libdlib-dev as the system's package ships it, and
# with dlib from its PyPI source release, -march=native. Both releases are pinned and hash-checked.
#
# Usage: bench/dlib/build.sh [--models] [--prefix DIR] [package|native]...   default: both
#   --models      also fetches dlib's published model files (96 MB) into build-dlib/models
#   --prefix DIR  where libdlib-dev is unpacked, if it is not installed (apt-get install libdlib-dev)
# Leaves build-dlib/package/dlib_bench and build-dlib/native/dlib_bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/build-dlib
prefix=
models=no
kinds=()

# Fetches the source release of a pinned package into build-dlib/NAME.
fetch() {
  [ -d "$out/$1" ] && return
  mkdir -p "$out/fetched"
  grep "^$1==" bench/dlib/requirements.txt >"$out/fetched/$1.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "$1" \
    --require-hashes -r "$out/fetched/$1.txt" -d "$out/fetched"
  tar -C "$out/fetched" -xzf "$out/fetched/$1"-*.tar.gz
  rm "$out/fetched/$1"-*.tar.gz
  mv "$out/fetched/$1"-* "$out/$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --models) models=yes ;;
    --prefix) prefix=$2 && shift ;;
    package | native) kinds+=("$1") ;;
    *) sed -n '3,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
  esac
  shift
done
[ ${#kinds[@]} -gt 0 ] || kinds=(package native)

for kind in "${kinds[@]}"; do
  args=(-DFACE_DLIB="$kind" -DDLIB_PREFIX="$prefix")
  if [ "$kind" = native ]; then
    fetch dlib
    args+=(-DDLIB_SOURCE="$out/dlib")
  fi
  cmake -S bench/dlib -B "$out/$kind" "${args[@]}"
  cmake --build "$out/$kind" -j "$(nproc)" --target dlib_bench
done
if [ $models = yes ]; then
  fetch face_recognition_models
  mkdir -p "$out/models"
  cp "$out/face_recognition_models/face_recognition_models/models/"*.dat "$out/models"
  rm -r "$out/face_recognition_models"
fi
