#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds two commits, runs their microbenchmarks in turn, and says what got slower.

    bench/compare.py main HEAD --filter 'BM_Letterbox|80->80@80'

Each commit is checked out by `git worktree` into a temporary folder and built there. In every round both
run each program once, the one that begins changing from round to round. A benchmark counts as slower
if the median of the rounds' ratios is above 1 by more than --least and by more than three times its
standard error (from the spread of the ratios), and all rounds but one in six agree. The same rule
downwards says what got faster.

Exit code: 0 nothing got slower; 1 something did; 2 a commit could not be built or run.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

PROGRAMS = ["kernels_bench", "layers_bench", "image_bench", "conv_bench"]


class Failure(Exception):
    pass


def command(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False,
                          **options)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise Failure(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{tail}")
    return done.stdout


class Build:
    """A commit, checked out and built in a folder of its own; close() takes the checkout away."""

    def __init__(self, name, revision, folder):
        self.title = f"{name} {revision}"
        self.tree = Path(folder) / name
        self.commit = command("git", "rev-parse", "--verify", revision + "^{commit}",
                              cwd=common.ROOT).strip()
        command("git", "worktree", "add", "--detach", self.tree, self.commit, cwd=common.ROOT)

    def build(self, args):
        """Builds the programs that this commit has; their paths by name."""
        build = self.tree / "build"
        environment = {**os.environ, "CCACHE_BASEDIR": str(self.tree), "CCACHE_NOHASHDIR": "1"}
        command("cmake", "-S", self.tree, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                "-DFACE_BUILD_BENCH=ON", "-DFACE_BUILD_TESTS=OFF", "-DFACE_CUDA=OFF",
                env=environment)
        known = command("cmake", "--build", build, "--target", "help")
        programs = [p for p in args.programs if p in known]
        command("cmake", "--build", build, "-j", args.jobs, "--target", *programs, env=environment)
        return {program: build / "bin" / program for program in programs}

    def close(self):
        command("git", "worktree", "remove", "--force", self.tree, cwd=common.ROOT)


def run_once(program, args):
    """Nanoseconds by benchmark."""
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    text = command(program, f"--benchmark_filter={args.filter}", "--benchmark_format=json",
                   f"--benchmark_min_time={args.min_time}")
    if not text.strip():
        return {}  # nothing matched the filter
    return {b["name"]: b[f"{args.time}_time"] * scale[b["time_unit"]]
            for b in json.loads(text)["benchmarks"] if b.get("run_type") != "aggregate"}


def measure(base, head, args):
    """Times by (program, benchmark), one pair (base, head) per round."""
    pairs = {}
    for program in [p for p in base if p in head]:
        for number in range(args.rounds):
            sides = [base[program], head[program]]
            times = {}
            for side in sides if number % 2 == 0 else reversed(sides):
                time.sleep(args.pause)
                times[side] = run_once(side, args)
            for name in times[sides[0]].keys() & times[sides[1]].keys():
                pairs.setdefault((program, name), []).append(tuple(times[s][name] for s in sides))
    return pairs


def judge(pairs, least):
    """Median ratio head / base, its standard error, and "slower", "faster" or ""."""
    ratios = [head / base for base, head in pairs]
    middle = statistics.median(ratios)
    spread = 1.4826 * statistics.median(abs(r - middle) for r in ratios)
    error = 1.2533 * spread / math.sqrt(len(ratios))
    beyond = abs(middle - 1) > max(least, 3 * error)
    agreeing = sum((r > 1) == (middle > 1) for r in ratios)
    if not beyond or agreeing < len(ratios) - len(ratios) // 6:
        return middle, error, ""
    return middle, error, "slower" if middle > 1 else "faster"


def report(pairs, args):
    """Prints the table; returns the rows."""
    rows = []
    for (program, name), times in sorted(pairs.items()):
        middle, error, verdict = judge(times, args.least)
        rows.append({"program": program, "benchmark": name, "ratio": middle, "error": error,
                     "verdict": verdict, "base_us": statistics.median(t[0] for t in times) / 1e3,
                     "head_us": statistics.median(t[1] for t in times) / 1e3})
    shown = [r for r in rows if r["verdict"] or args.all]
    if shown:
        print(common.markdown(
            ["benchmark", "base, µs", "head, µs", "head / base", ""],
            [[f"{r['program']} {r['benchmark']}", f"{r['base_us']:.1f}", f"{r['head_us']:.1f}",
              f"{r['ratio']:.3f} ± {r['error']:.3f}", r["verdict"]] for r in shown]) + "\n")
    counts = {v: sum(r["verdict"] == v for r in rows) for v in ("slower", "faster", "")}
    print(f"{len(rows)} benchmarks, {args.rounds} rounds: {counts['slower']} slower, "
          f"{counts['faster']} faster, {counts['']} the same within noise.")
    return rows


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("head")
    parser.add_argument("--filter", default=".", help="benchmarks, a regular expression")
    parser.add_argument("--programs", nargs="+", default=PROGRAMS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--min-time", type=float, default=0.05, help="seconds per benchmark, round")
    parser.add_argument("--least", type=float, default=0.03, help="smaller changes are nothing")
    parser.add_argument("--time", choices=["real", "cpu"], default="real",
                        help="cpu suffers less where others work; good for one thread only")
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--all", action="store_true", help="show what did not change, too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    common.add_core_option(parser)
    common.add_json_option(parser)
    args = parser.parse_args()
    if args.rounds < 3:
        parser.error("--rounds: at least 3, or noise cannot be told")
    return args


def build_both(args, folder):
    builds = []
    try:
        for name in ("base", "head"):
            builds.append(Build(name, getattr(args, name), folder))
            print(f"building {builds[-1].title} ({builds[-1].commit[:12]})", file=sys.stderr)
        return builds, [build.build(args) for build in builds]
    except Failure:
        for build in builds:
            build.close()
        raise


def compare(args):
    with tempfile.TemporaryDirectory(prefix="face-compare-") as folder:
        builds, programs = build_both(args, folder)
        try:
            common.pin(args.cores)
            load = common.Load()
            pairs = measure(*programs, args)
            run = common.describe_run(load)
        finally:
            for build in builds:
                build.close()
    if not pairs:
        raise Failure("no benchmark that both commits have matches the filter")
    rows = report(pairs, args)
    print(common.run_sentence(run))
    settings = {"base": builds[0].commit, "head": builds[1].commit, "rounds": args.rounds}
    common.save(args.json, "compare", settings, rows, run)
    return any(row["verdict"] == "slower" for row in rows)


def main():
    try:
        return 1 if compare(parse_args()) else 0
    except Failure as failure:
        print(f"compare.py: {failure}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
