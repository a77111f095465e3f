#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/run.sh - builds the worker, gets a model once, serves on port 8001.
#
# Arguments go to build/bin/face-worker (see its --help); --model FILE.fwp (or FACE_MODEL) skips the
# download of weights. Environment: MODEL_MIRROR and FACE_CACHE, see scripts/get_model.sh.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

# value_of --flag DEFAULT ARGUMENTS...: the flag's value among the arguments.
value_of() {
  local flag=$1 value=$2
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      "$flag") value=${2:-} ;;
      "$flag"=*) value=${1#*=} ;;
    esac
    shift
  done
  printf '%s' "$value"
}

# Once the worker is healthy, says what to try.
announce() {
  local url=http://localhost:$1/
  for _ in $(seq 600); do
    kill -0 "$2" 2>/dev/null || return 0
    if curl -fs -m 2 "$url" >/dev/null 2>&1; then
      say "Ready. Try:  curl -F file=@photo.jpg ${url}detect"
      return 0
    fi
    sleep 0.2
  done
}

"$project_dir/scripts/setup.sh"
configure_and_build face-worker weights_tool

model=$(value_of --model "${FACE_MODEL:-}" "$@")
if [ -z "$model" ]; then
  model=$("$project_dir/scripts/get_model.sh")
  set -- --model "$model" "$@"
fi
announce "$(value_of --port "${FACE_PORT:-8001}" "$@")" $$ &
exec "$build_dir/bin/face-worker" "$@"
