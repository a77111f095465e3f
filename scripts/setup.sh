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

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
    missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "as root, run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
say "Installing: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
