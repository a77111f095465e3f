#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/check_cuda11.sh - as check_cuda.sh, with CUDA 11.8 (get_cuda11.sh fetches it or is told
# where it is) and for the GPUs from Pascal on that it knows. Needs no GPU and installs nothing.
#
# Usage: scripts/check_cuda11.sh [ARCH...]   default: 61 70 75 80 86 89 90
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

find_cuda11
[ $# -gt 0 ] || set -- 61 70 75 80 86 89 90
python3 "$project_dir/scripts/cuda_compile.py" --nvcc "$nvcc11" \
  ${nvcc11_host:+--host "$nvcc11_host"} --stamps "$cache_dir/cuda" --jobs "$(cores)" "$@"
