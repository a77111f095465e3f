#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/lint.sh - clang-format, clang-tidy and shellcheck over the whole tree; fails on any finding.
#
# clang-tidy is slow: a file whose text after preprocessing has passed before is not read again
# (stamps in the cache folder). Needs a configured build (scripts/test.sh makes one).
# Usage: scripts/lint.sh [format|tidy|shell]...   default: all three
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "$0")/common.sh"
cd "$project_dir"

format() {
  say "clang-format"
  git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -r clang-format --dry-run -Werror
}

tidy() {
  say "clang-tidy"
  python3 scripts/tidy.py --build "$build_dir" --stamps "$cache_dir/tidy" --jobs "$(cores)"
}

shell() {
  say "shellcheck"
  git ls-files '*.sh' .ci/run | xargs -r shellcheck -x
}

[ $# -gt 0 ] || set -- format tidy shell
for check in "$@"; do
  case $check in
    format | tidy | shell) "$check" ;;
    *) fail "unknown check '$check', known: format tidy shell" ;;
  esac
done
