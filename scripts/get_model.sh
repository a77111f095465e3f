#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/get_model.sh - prints the path of a weight file, made once and kept in the cache folder.
#
# InsightFace's buffalo_l is downloaded (288 MB, resumed if interrupted, checked by SHA-256) and
# converted. MODEL_MIRROR=DIR_or_URL is asked instead, for buffalo_l.zip or for det_10g.onnx and
# w600k_r50.onnx. Where neither can be had, weights are generated: the worker then answers, but with
# meaningless faces, and says "untrained". Needs build/bin/weights_tool.
# Environment: MODEL_MIRROR; FACE_CACHE; MODEL_SHA256="ZIP DET REC" for a mirror of other weights.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

url=https://github.com/deepinsight/insightface/releases/download/v0.7
read -r zip_sha det_sha rec_sha <<<"${MODEL_SHA256:-\
80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f \
5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91 \
4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43}"
tool=$build_dir/bin/weights_tool
# The name carries the hash of the source: other weights, another file.
pack=$cache_dir/buffalo_l-${det_sha:0:8}-${rec_sha:0:8}.fwp
sources=$cache_dir/sources

# fetch FROM/NAME into sources/, with progress and resume; quiet failure if it is not there.
fetch() {
  local from=$1 name=$2 progress=--progress-bar
  [ -t 2 ] || progress=-sS
  case $from in
    http://* | https://*)
      curl -fL $progress --retry 2 --connect-timeout 10 -C - -o "$sources/$name.part" \
        "$from/$name" >&2 || return 1
      mv "$sources/$name.part" "$sources/$name" ;;
    *) [ -f "$from/$name" ] && cp "$from/$name" "$sources/$name" ;;
  esac
}

# check NAME SHA256: a file that differs is named and removed.
check() {
  [ "$(sha256sum "$sources/$1" | cut -d' ' -f1)" = "$2" ] && return 0
  say "$1: SHA-256 differs from the release's; not used (MODEL_SHA256 allows other weights)."
  rm -f "$sources/$1"
  return 1
}

# get NAME SHA256: from the mirror, else from the release page.
get() {
  if [ -n "${MODEL_MIRROR:-}" ]; then
    fetch "${MODEL_MIRROR%/}" "$1" && check "$1" "$2"
  else
    say "Downloading $1 from $url"
    fetch "$url" "$1" && check "$1" "$2"
  fi
}

convert() { "$tool" convert "$@" -o "$pack" >&2; }

make_pack() {
  say "Weights: InsightFace buffalo_l. Licence: non-commercial research use only (github.com/deepinsight/insightface)."
  if get buffalo_l.zip "$zip_sha"; then
    convert "$sources/buffalo_l.zip"
  elif [ -n "${MODEL_MIRROR:-}" ] && get det_10g.onnx "$det_sha" && get w600k_r50.onnx "$rec_sha"; then
    convert "$sources/det_10g.onnx" "$sources/w600k_r50.onnx"
  else
    return 1
  fi
}

make_generated_pack() {
  pack=$cache_dir/generated.fwp
  say "NO TRAINED WEIGHTS: ${MODEL_MIRROR:-$url} has no usable buffalo_l.zip."
  say "Starting with GENERATED weights: the worker answers, but its faces mean nothing, and it reports \"untrained\"."
  say "Give weights by --model FILE.fwp, or MODEL_MIRROR=DIR_or_URL with buffalo_l.zip or det_10g.onnx and w600k_r50.onnx."
  [ -f "$pack" ] && return 0
  "$tool" synth buffalo_l -o "$sources/generated" >&2
  convert "$sources/generated/det_10g.onnx" "$sources/generated/w600k_r50.onnx"
}

if [ ! -f "$pack" ]; then
  mkdir -p "$sources"
  make_pack || make_generated_pack
  rm -rf "$sources/generated" "$sources"/*.zip "$sources"/*.onnx
fi
printf '%s\n' "$pack"
