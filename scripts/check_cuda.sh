#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/check_cuda.sh - compiles every CUDA kernel for the GPUs that CUDA 13 knows: no warning, no
# spilled register, at most 60 MB of code. Needs nvcc (NVCC names another), no GPU.
#
# Only what changed is compiled again. Usage: scripts/check_cuda.sh [ARCH...]   e.g. 80 90
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

nvcc=$(find_nvcc) || fail "no nvcc: install the CUDA toolkit or set NVCC"
[ $# -gt 0 ] || set -- 75 80 86 89 90 100 120
python3 "$project_dir/scripts/cuda_compile.py" --nvcc "$nvcc" --stamps "$cache_dir/cuda" \
  --jobs "$(cores)" "$@"
