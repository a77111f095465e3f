#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/get_model.sh - prints the path of a weight file, made once and kept in the cache folder.
#
# InsightFace's buffalo_l is downloaded (288 MB, resumed if interrupted, checked by SHA-256) and
# converted. MODEL_MIRROR=DIR_or_URL is asked instead, for buffalo_l.zip or for det_10g.onnx and
# w600k_r50.onnx. Where neither can be had, weights are generated: the worker then answers, but with
# meaningless faces, and says "untrained". Needs build/bin/weights_tool.
# Environment: MODEL_MIRROR; FACE_CACHE; MODEL_SHA256="ZIP DET REC" for a mirror of other weights;
# MODEL_STALL_SECONDS: how long a download may stand still before it is taken up anew (30).
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
trained=$cache_dir/buffalo_l-${det_sha:0:8}-${rec_sha:0:8}.fwp
generated=$cache_dir/generated.fwp
sources=$cache_dir/sources

# matches FILE SHA256
matches() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

# usable PACK: there, whole, and of a format that this build reads.
usable() { [ -f "$1" ] && "$tool" inspect "$1" >/dev/null 2>&1; }

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# download FROM/NAME into sources/NAME.part, going on from what is there. A connection that breaks or
# stands still is taken up again, three times from the same place at most; a server that cannot go
# on from there begins anew; what it refuses is a failure.
download() {
  local part=$sources/$2.part progress=--progress-bar code status size vain=0
  [ -t 2 ] || progress=-sS
  while [ "$vain" -lt 3 ]; do
    code=0
    size=$(size_of "$part")
    status=$(curl -fL $progress --connect-timeout 10 --speed-limit 1 \
      --speed-time "${MODEL_STALL_SECONDS:-30}" -C - -o "$part" -w '%{http_code}' "$1/$2") || code=$?
    case $code:$status in
      0:*) return 0 ;;
      33:* | 22:416) rm -f "$part" ;;         # no ranges, or none that begins there
      6:* | 7:* | 22:4??) return "$code" ;;   # unknown host, refused, not there
    esac
    if [ "$(size_of "$part")" -gt "$size" ]; then vain=0; else vain=$((vain + 1)); fi
    sleep 0.3
  done
  return "$code"
}

# fetch FROM NAME SHA256: from a folder or a server into sources/; what an earlier run left half done
# is used. A file of another content is named and not kept.
fetch() {
  local file=$sources/$2 part=$sources/$2.part began
  case $1 in
    http://* | https://*)
      began=$(size_of "$part")
      matches "$part" "$3" || download "$1" "$2" || return 1
      if [ "$began" -gt 0 ] && ! matches "$part" "$3"; then
        rm -f "$part"
        download "$1" "$2" || return 1
      fi
      mv "$part" "$file" ;;
    *)
      [ -f "$1/$2" ] || return 1
      cp "$1/$2" "$file" ;;
  esac
  matches "$file" "$3" && return 0
  say "$2: SHA-256 differs from the release's; not used (MODEL_SHA256 allows other weights)."
  rm -f "$file"
  return 1
}

convert() { "$tool" convert "${@:2}" -o "$1" >&2; }

make_trained() {
  local from=${MODEL_MIRROR:-$url}
  from=${from%/}
  say "Weights: InsightFace buffalo_l. Licence: non-commercial research use only (github.com/deepinsight/insightface)."
  say "Getting buffalo_l.zip from $from"
  if fetch "$from" buffalo_l.zip "$zip_sha"; then
    convert "$trained" "$sources/buffalo_l.zip"
  elif [ -n "${MODEL_MIRROR:-}" ] && fetch "$from" det_10g.onnx "$det_sha" &&
    fetch "$from" w600k_r50.onnx "$rec_sha"; then
    convert "$trained" "$sources/det_10g.onnx" "$sources/w600k_r50.onnx"
  else
    return 1
  fi
}

make_generated() {
  say "NO TRAINED WEIGHTS: ${MODEL_MIRROR:-$url} has no usable buffalo_l.zip."
  say "Starting with GENERATED weights: the worker answers, but its faces mean nothing, and it reports \"untrained\"."
  say "Give weights by --model FILE.fwp, or MODEL_MIRROR=DIR_or_URL with buffalo_l.zip or det_10g.onnx and w600k_r50.onnx."
  usable "$generated" && return 0
  "$tool" synth buffalo_l -o "$sources/generated" >&2
  convert "$generated" "$sources/generated/det_10g.onnx" "$sources/generated/w600k_r50.onnx"
}

[ -x "$tool" ] || fail "$tool is not built"
mkdir -p "$sources" || fail "cannot make $sources"
exec 9>"$cache_dir/lock"
flock -n 9 || { say "Waiting for another start to get the model"; flock 9; }
pack=$trained
if ! usable "$pack"; then
  make_trained || {
    pack=$generated
    make_generated || fail "no weights could be made, see above"
  }
  rm -rf "$sources/generated" "$sources"/*.zip "$sources"/*.onnx
fi
printf '%s\n' "$pack"
