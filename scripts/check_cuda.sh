#!/usr/bin/env bash
# Compiles every kernel with nvcc for all architectures of the CUDA 13 build, warnings as errors,
# fails on any spill, and prints the size of the fat code. Needs nvcc, no GPU. Usage:
#   scripts/check_cuda.sh [ARCHS]      e.g. "80 90"; default: 75 80 86 89 90 100 120
# Kernels that spill registers or whose code outgrows MAX_MB (60) fail the check.
set -euo pipefail
cd "$(dirname "$0")/.."
NVCC=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
ARCHS=${1:-75 80 86 89 90 100 120}
MAX_MB=${MAX_MB:-60}
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
[ -x "$NVCC" ] || { echo "check_cuda: no nvcc; set NVCC" >&2; exit 2; }

codes=()
for arch in $ARCHS; do codes+=(-gencode "arch=compute_$arch,code=sm_$arch"); last=$arch; done
codes+=(-gencode "arch=compute_$last,code=compute_$last")

for source in kernels/cuda/*.cu; do
  name=$(basename "$source" .cu)
  echo "== $name"
  "$NVCC" -std=c++17 -O3 -I. -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror \
    ${NVCC_HOST:+-ccbin "$NVCC_HOST"} -t 0 "${codes[@]}" -Xptxas -v -c "$source" \
    -o "$OUT/$name.o" > "$OUT/$name.log" 2>&1 || { cat "$OUT/$name.log" >&2; exit 1; }
  if grep -E "[1-9][0-9]* bytes spill" "$OUT/$name.log"; then
    echo "check_cuda: $source spills registers" >&2
    exit 1
  fi
  awk '/Used [0-9]+ registers/ {for (i = 1; i <= NF; ++i) if ($i == "Used" && $(i+1) > m) m = $(i+1)}
       END {print "   at most " m " registers, no spills"}' "$OUT/$name.log"
done
bytes=$(cat "$OUT"/*.o | wc -c)
echo "fat objects: $((bytes / 1024)) KiB for: $ARCHS + PTX"
[ "$bytes" -le $((MAX_MB * 1024 * 1024)) ] || { echo "check_cuda: over $MAX_MB MB" >&2; exit 1; }
