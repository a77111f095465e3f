#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/get_httplib.sh - prints a folder that holds httplib.h of cpp-httplib 0.41.0, checked by
# SHA-256. Looks in HTTPLIB_DIR, the cache folder, the release on GitHub, and Debian's archive of
# sources (at the hosts this machine installs its packages from, then deb.debian.org).
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"

version=0.41.0
header_sha=e9112546cbae828180f72c2ae6da4bfd8d15ae38138bd99b898e5e30128acc28
folder=$cache_dir/cpp-httplib-$version

# good FILE: it is the header.
good() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$header_sha" ]; }
download() { curl -fsSL --connect-timeout 10 --max-time 120 --retry 1 -o "$2" "$1" 2>/dev/null; }

from_github() {
  download "https://raw.githubusercontent.com/yhirose/cpp-httplib/v$version/httplib.h" "$work/httplib.h"
}

# Hosts of this machine's package sources, then Debian's own.
debian_archives() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | sed 's,/* *$,,' | sort -u
  echo http://deb.debian.org/debian
}

from_debian() {
  local archive
  for archive in $(debian_archives); do
    download "$archive/pool/main/c/cpp-httplib/cpp-httplib_$version+ds.orig.tar.xz" "$work/source.tar.xz" &&
      tar -xJf "$work/source.tar.xz" -C "$work" --strip-components=1 --wildcards '*/httplib.h' &&
      return 0
  done
  return 1
}

if [ -n "${HTTPLIB_DIR:-}" ]; then
  [ -f "$HTTPLIB_DIR/httplib.h" ] || fail "HTTPLIB_DIR=$HTTPLIB_DIR has no httplib.h"
  printf '%s\n' "$HTTPLIB_DIR"
  exit 0
fi
if ! good "$folder/httplib.h"; then
  make_work_folder
  for source in from_github from_debian; do
    "$source" && good "$work/httplib.h" && break
    rm -f "$work/httplib.h"
  done
  good "$work/httplib.h" || fail "cannot get cpp-httplib $version; put httplib.h in a folder and set HTTPLIB_DIR"
  mkdir -p "$folder"
  mv "$work/httplib.h" "$folder/httplib.h"
fi
printf '%s\n' "$folder"
