#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/check_cuda11.sh - as check_cuda.sh, with CUDA 11.8 and for the GPUs from Pascal on that it
# knows. Needs no GPU and installs nothing.
#
# The toolkit is Debian 12's (non-free), fetched once (0.9 GB, apt checks it) from where this machine
# gets its packages, and unpacked (3.1 GB) in the cache folder; NVCC11 and NVCC11_HOST name others.
# Usage: scripts/check_cuda11.sh [ARCH...]   default: 61 70 75 80 86 89 90
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

root=$cache_dir/cuda-11.8
packages=(nvidia-cuda-toolkit nvidia-cuda-dev libcudart11.0 libnvvm4
  g++-11 gcc-11 cpp-11 gcc-11-base libgcc-11-dev libstdc++-11-dev libasan6 libtsan0)

# debian_host: what the machine's own lists of packages name as Debian's.
debian_host() {
  sed -nE 's|^[^#]*(https?://[^ ]+/debian)/?( .*)?$|\1|p' /etc/apt/sources.list \
    /etc/apt/sources.list.d/* 2>/dev/null | sort -u | sed -n 1p
}

fetch() {
  local host apt
  host=$(debian_host) || true
  [ -n "$host" ] || fail "this machine gets no packages from a Debian archive; set NVCC11"
  mkdir -p "$root.part/apt/lists/partial" "$root.part/apt/archives/partial" "$root.part/packages"
  printf 'deb %s bookworm main non-free\n' "$host" >"$root.part/apt/sources.list"
  # Lists and caches of its own; the folder is the user's, so apt's own user cannot write there.
  apt=(apt-get -q -o "Dir::Etc::sourcelist=$root.part/apt/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$root.part/apt/lists" -o "Dir::Cache=$root.part/apt"
    -o APT::Sandbox::User=root)
  "${apt[@]}" update
  say "Fetching CUDA 11.8 from $host"
  (cd "$root.part/packages" && "${apt[@]}" download "${packages[@]}")
  for package in "$root.part/packages"/*.deb; do
    dpkg -x "$package" "$root.part"
    rm "$package"
  done
  # The package's own names absolute paths.
  rm "$root.part/usr/lib/nvidia-cuda-toolkit/bin/nvcc.profile"
  cat >"$root.part/usr/lib/nvidia-cuda-toolkit/bin/nvcc.profile" <<'PROFILE'
NVVMIR_LIBRARY_DIR = $(_HERE_)/../libdevice
PATH += $(_HERE_):$(_HERE_)/../../../bin:
LD_LIBRARY_PATH += $(_HERE_)/../../x86_64-linux-gnu:
PROFILE
  rm -r "$root.part/apt" "$root.part/packages"
  mv "$root.part" "$root"
}

if [ -n "${NVCC11:-}" ]; then
  toolkit=(--nvcc "$NVCC11" ${NVCC11_HOST:+--host "$NVCC11_HOST"})
else
  [ -d "$root" ] || fetch >&2
  toolkit=(--nvcc "$root/usr/lib/nvidia-cuda-toolkit/bin/nvcc" --host "$root/usr/bin/g++-11"
    --include "$root/usr/include")
fi
[ $# -gt 0 ] || set -- 61 70 75 80 86 89 90
python3 "$project_dir/scripts/cuda_compile.py" "${toolkit[@]}" --stamps "$cache_dir/cuda" \
  --jobs "$(cores)" "$@"
