#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/get_cuda11.sh - prints the path of a CUDA 11.8 compiler and, on a second line, of the C++
# compiler it is to use (empty: its own choice). Needs no GPU and installs nothing.
#
# The toolkit is Debian 12's (non-free), fetched once (0.9 GB, apt checks it) from where this machine
# gets its packages, and unpacked (3.1 GB) in the cache folder; NVCC11 and NVCC11_HOST name others.
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
  rm -r "$root.part/apt" "$root.part/packages"
  mv "$root.part" "$root"
}

# arrange: the folders lie as in NVIDIA's own toolkit, which is what nvcc and CMake look for; the
# package's own names absolute paths.
arrange() {
  mkdir -p "$toolkit/nvvm"
  ln -sfn ../../include "$toolkit/include"
  ln -sfn ../x86_64-linux-gnu "$toolkit/lib64"
  ln -sfn ../libdevice "$toolkit/nvvm/libdevice"
  rm -f "$toolkit/bin/nvcc.profile"
  cat >"$toolkit/bin/nvcc.profile" <<'PROFILE'
TOP = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(_HERE_):$(TOP)/../../bin:
LD_LIBRARY_PATH += $(TOP)/lib64:
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64"
PROFILE
}

if [ -n "${NVCC11:-}" ]; then
  printf '%s\n%s\n' "$NVCC11" "${NVCC11_HOST:-}"
  exit
fi
toolkit=$root/usr/lib/nvidia-cuda-toolkit
[ -d "$root" ] || fetch >&2
arrange
printf '%s\n' "$toolkit/bin/nvcc" "$root/usr/bin/g++-11"
