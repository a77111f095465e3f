#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/setup.sh - installs what building needs on Debian 12/13 and Ubuntu 22.04/24.04; says what.
# Arguments add groups: test, lint, bench. As root it asks nothing; else it goes through sudo.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

build=(g++ cmake ninja-build ccache pkg-config ca-certificates curl xz-utils unzip
  libdnnl-dev libhwy-dev                                  # CPU engine
  libjpeg-dev libpng-dev libwebp-dev libstb-dev           # pictures
  libonnx-dev libprotobuf-dev protobuf-compiler libssl-dev libzip-dev zlib1g-dev # weights_tool
  nlohmann-json3-dev libcli11-dev libspdlog-dev)          # server
optional=(libisal-dev)                                    # PNG faster; builds do without
test=(libgtest-dev libgmock-dev libboost-context-dev python3)
lint=(clang-format clang-tidy shellcheck python3)
bench=(libbenchmark-dev python3-venv)

wanted=("${build[@]}")
for group in "$@"; do
  case $group in
    test) wanted+=("${test[@]}") ;;
    lint) wanted+=("${lint[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *) fail "unknown group '$group', known: test lint bench" ;;
  esac
done

command -v dpkg-query >/dev/null ||
  fail "this is not Debian or Ubuntu; install the equivalents of: ${wanted[*]}"

as_root=(env DEBIAN_FRONTEND=noninteractive)
[ "$(id -u)" -eq 0 ] || as_root=(sudo "${as_root[@]}")
is_missing() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" != installed ]; }
install_packages() {
  say "Installing: $*"
  "${as_root[@]}" apt-get -q install -y --no-install-recommends "$@"
}

missing=()
for package in "${wanted[@]}"; do
  if is_missing "$package"; then missing+=("$package"); fi
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v "${as_root[0]}" >/dev/null || fail "as root, run: apt-get install ${missing[*]}"
  "${as_root[@]}" apt-get -q update
  install_packages "${missing[@]}"
fi
for package in "${optional[@]}"; do
  if is_missing "$package" && apt-cache show "$package" >/dev/null 2>&1; then
    install_packages "$package" || say "$package cannot be installed, going on without"
  fi
done
