#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/scripts/get_model_test.sh - scripts/get_model.sh against folders and servers that have the
# model, have another one, have half of it, or have nothing. Loopback only; stops by itself.
#
# Needs a build: FACE_BUILD_DIR, else build/. The models are generated ones, named as the release's.
set -euo pipefail
cd "$(dirname "$0")/../.."
tool=${FACE_BUILD_DIR:-build}/bin/weights_tool
work=$(mktemp -d)
server='' patient=''
cleanup() {
  for child in $server $patient; do kill "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
export FACE_CACHE=$work/cache MODEL_STALL_SECONDS=1
unset MODEL_MIRROR MODEL_SHA256

fail() {
  printf 'FAILED %s: %s\n' "$name" "$*"
  sed 's/^/    /' "$work/err"
  exit 1
}

# get WHAT [MIRROR]: runs the script; its answer is in $answer, what it said in $work/err.
get() {
  name=$1
  local code=0
  : >"$work/log"
  answer=$(MODEL_MIRROR=${2:-} timeout 60 scripts/get_model.sh 2>"$work/err") || code=$?
  [ "$code" = 0 ] || fail "exit code $code"
  [ -f "$answer" ] || fail "no file '$answer'"
}
says() { grep -q "$1" "$work/err" || fail "does not say '$1'"; }
says_not() { ! grep -q "$1" "$work/err" || fail "says '$1'"; }
requests() { grep -c "$1" "$work/log" || true; }
forget() { rm -rf "$FACE_CACHE"/buffalo_l-* "$FACE_CACHE/sources"; }
# left NAME BYTES: as if an earlier download had been interrupted after so many bytes.
left() {
  mkdir -p "$FACE_CACHE/sources"
  head -c "$2" "$work/mirror/$1" >"$FACE_CACHE/sources/$1.part"
}
trained() {
  [ "$answer" = "$pack" ] || fail "answers $answer, want $pack"
  cmp -s "$answer" "$work/wanted.fwp" || fail "is another model"
  [ -z "$(ls "$FACE_CACHE/sources")" ] || fail "leaves $(ls "$FACE_CACHE/sources")"
  says 'non-commercial research use only'
  says_not 'GENERATED'
  printf 'ok  %s\n' "$name"
}
generated() {
  [ "$answer" = "$FACE_CACHE/generated.fwp" ] || fail "answers $answer, want generated weights"
  says 'NO TRAINED WEIGHTS'
  says 'GENERATED weights: .* faces mean nothing.*"untrained"'
  says 'MODEL_MIRROR=DIR_or_URL'
  [ ! -e "$pack" ] || fail "leaves $pack"
  printf 'ok  %s\n' "$name"
}

# ---- a small release
mkdir "$work/mirror" "$work/onnx" "$work/empty" "$work/other" "$work/half"
"$tool" synth buffalo_s -o "$work/synth" >/dev/null
mv "$work/synth/det_500m.onnx" "$work/onnx/det_10g.onnx"
mv "$work/synth/w600k_mbf.onnx" "$work/onnx/w600k_r50.onnx"
(cd "$work/onnx" && python3 -m zipfile -c ../mirror/buffalo_l.zip ./*.onnx)
sum() { sha256sum "$1" | cut -d' ' -f1; }
zip=$work/mirror/buffalo_l.zip
size=$(stat -c %s "$zip")
det=$(sum "$work/onnx/det_10g.onnx") rec=$(sum "$work/onnx/w600k_r50.onnx")
MODEL_SHA256="$(sum "$zip") $det $rec"
export MODEL_SHA256
"$tool" convert "$zip" -o "$work/wanted.fwp" >/dev/null
pack=$FACE_CACHE/buffalo_l-${det:0:8}-${rec:0:8}.fwp
cp "$work/onnx/det_10g.onnx" "$work/other/buffalo_l.zip"
head -c "$((size / 2))" "$zip" >"$work/half/buffalo_l.zip"

python3 tests/scripts/mirror.py "$work/mirror" "$work/log" >"$work/port" &
server=$!
for _ in $(seq 100); do
  [ ! -s "$work/port" ] || break
  sleep 0.05
done
url=http://127.0.0.1:$(cat "$work/port")

# Takes seconds, so it runs beside the others in a cache of its own.
FACE_CACHE=$work/patient MODEL_MIRROR=$url/stall timeout 60 scripts/get_model.sh >"$work/patient.out" \
  2>"$work/patient.err" &
patient=$!

# ---- there is a model
get 'a folder with the archive' "$work/mirror" && trained
get 'a second start asks nobody' "$work/nowhere"
[ "$answer" = "$pack" ] || fail "answers $answer"
says_not .
printf 'damage' | dd of="$pack" bs=1 seek=100000 conv=notrunc status=none
get 'a damaged file in the cache is made anew' "$work/mirror" && trained
forget && get 'a folder with the two models' "$work/onnx" && trained

forget && get 'a server' "$url/ranges/" && trained
forget && left buffalo_l.zip $((size / 2)) && get 'an interrupted download goes on' "$url/ranges" && trained
[ "$(requests "bytes=$((size / 2))-")" = 1 ] || fail "asked for $(cat "$work/log")"
forget && left buffalo_l.zip $((size / 2)) && get 'a server without ranges begins anew' "$url/plain" && trained
forget && left buffalo_l.zip "$size" && get 'a download interrupted at its very end' "$url/ranges" && trained
[ "$(requests /ranges/)" = 0 ] || fail "asked for $(cat "$work/log")"
forget && left buffalo_l.zip "$size" && printf x >>"$FACE_CACHE/sources/buffalo_l.zip.part"
get 'a rest that is too long' "$url/ranges" && trained
forget && mkdir -p "$FACE_CACHE/sources" && head -c 5000 /dev/zero >"$FACE_CACHE/sources/buffalo_l.zip.part"
get 'a rest of something else' "$url/ranges" && trained
forget && get 'a connection that breaks' "$url/cut" && trained
[ "$(requests /cut/)" = 3 ] || fail "asked for $(cat "$work/log")"
forget && get 'a server that is busy' "$url/busy" && trained

forget
get_quietly() { MODEL_MIRROR=$url/ranges scripts/get_model.sh 2>/dev/null; }
get_quietly >"$work/first" &
first=$!
get 'two starts at once' "$url/ranges"
wait "$first"
[ "$answer $(cat "$work/first")" = "$pack $pack" ] || fail "one answers $answer, one $(cat "$work/first")"
[ "$(requests /ranges/)" = 1 ] || fail "asked for $(cat "$work/log")"

# ---- there is none
forget && get 'another file of that name' "$work/other" && says 'buffalo_l.zip: SHA-256 differs' && generated
get 'half a file' "$work/half" && says 'buffalo_l.zip: SHA-256 differs' && generated
get 'an empty folder' "$work/empty" && generated
get 'no such folder' "$work/nowhere" && generated
get 'a server without it' "$url/ranges/nothing" && generated

name='a connection that stands still'
cp "$work/patient.err" "$work/err"
wait "$patient" || fail "exit code $?"
patient=''
cmp -s "$(cat "$work/patient.out")" "$work/wanted.fwp" || fail 'is another model'
printf 'ok  %s\n' "$name"

left buffalo_l.zip 1000
kill "$server"
wait "$server" 2>/dev/null || true
server=''
get 'no server' "$url/ranges" && generated
[ -s "$FACE_CACHE/sources/buffalo_l.zip.part" ] || fail 'what was downloaded before is lost'
printf 'All passed in %s s.\n' "$SECONDS"
