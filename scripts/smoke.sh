#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/smoke.sh - the main job, end to end: converts real models, starts the worker with run.sh,
# posts photos by curl, looks at the answers, stops it. Loopback only; stops by itself.
#
# Needs FACE_SHARED (default ../shared) with models/ and images/. Usage: scripts/smoke.sh [PORT]
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

shared=${FACE_SHARED:-$project_dir/../shared}
port=${1:-18001}
url=http://127.0.0.1:$port
[ -d "$shared/models" ] || fail "no models in $shared: set FACE_SHARED"

# expect WHAT WANTED GOT
expect() {
  [ "$2" = "$3" ] || fail "$1: wanted $2, got $3"
  printf 'ok  %s: %s\n' "$1" "$3"
}

# count_faces FILE...: number of faces in each answer, one line each.
count_faces() { python3 -c 'import json,sys; print(len(json.load(sys.stdin)["faces"]))'; }
post() { curl -fsS -m 60 -F "file=@$1" "$url/detect"; }
status_of() { curl -s -m 60 -o /dev/null -w '%{http_code}' "$@"; }

make_work_folder
configure_and_build weights_tool
"$build_dir/bin/weights_tool" convert "$shared/models/scrfd_500m_bnkps.onnx" \
  "$shared/models/arcface_mobilefacenet_y1.onnx" -o "$work/small.fwp"

"$project_dir/scripts/run.sh" --model "$work/small.fwp" --host 127.0.0.1 --port "$port" \
  >"$work/log" 2>&1 &
worker=$!
for _ in $(seq 300); do
  curl -fs -m 2 "$url/" >"$work/health" 2>/dev/null && break
  kill -0 "$worker" 2>/dev/null || { cat "$work/log"; fail "the worker did not start"; }
  sleep 0.2
done
expect "health" healthy "$(python3 -c 'import json,sys; print(json.load(sys.stdin)["status"])' <"$work/health")"

expect "faces of t1.jpg" 6 "$(post "$shared/images/t1.jpg" | count_faces)"
expect "faces of no_face.png" 0 "$(post "$shared/images/no_face.png" | count_faces)"
expect "values of an embedding" 128 "$(post "$shared/images/Rob_Lowe_0001.jpg" |
  python3 -c 'import json,sys; print(len(json.load(sys.stdin)["faces"][0]["embedding"]))')"
printf 'not a picture' >"$work/text.jpg"
expect "text instead of a picture" 400 "$(status_of -F "file=@$work/text.jpg" "$url/detect")"
expect "part misnamed" 422 "$(status_of -F "photo=@$shared/images/t1.jpg" "$url/detect")"
expect "batch" "[True, False]" "$(curl -fsS -m 60 -F "files=@$shared/images/t1.jpg" \
  -F "files=@$work/text.jpg" "$url/detect-batch" |
  python3 -c 'import json,sys; print([r["success"] for r in json.load(sys.stdin)["results"]])')"

kill -TERM "$worker"
set +e
wait "$worker"
expect "exit code after SIGTERM" 0 $?
