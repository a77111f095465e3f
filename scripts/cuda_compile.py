#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles every CUDA kernel for every architecture and fails on a warning, a spill or too much code.

One compiler per file and architecture, several at a time. What passed leaves a stamp in the cache,
named by the SHA-256 of the file, its own headers, the flags and the compilers' versions, and is not
compiled again. Needs nvcc, no GPU; scripts/check_cuda.sh and check_cuda11.sh say which.
"""
import argparse
import concurrent.futures
import functools
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++17", "-O3", "-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Werror",
         "-Xptxas", "-v"]


def version(command):
    return subprocess.run([command, "--version"], check=True, capture_output=True).stdout


@functools.cache
def own_files(path):
    """The file and every header of ours that it includes, however deep."""
    found = {path}
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
        if (ROOT / name).exists():
            found |= own_files(ROOT / name)
    return found


def run_nvcc(compiler, source, target, output):
    done = subprocess.run([*compiler, *target, "-I", str(ROOT), str(source), "-o", str(output)],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def spills(log):
    """Every line of ptxas that tells of a spill, with the kernel it is about."""
    kernel, lines = "?", []
    for line in log.splitlines():
        if "Function properties for" in line:
            kernel = line.split("Function properties for", 1)[1].strip()
        if re.search(r"[1-9]\d* bytes spill", line):
            lines.append(f"{kernel}: {line.strip()}")
    return lines


def compile_one(job, compiler, seen, stamps):
    """A job's result: bytes and most registers, or its errors. From the stamp if there is one."""
    source, name, target = job
    text = b"\0".join(p.read_bytes() for p in sorted(own_files(source)))
    stamp = stamps / hashlib.sha256(
        b"\0".join([seen, json.dumps(FLAGS + target).encode(), text])).hexdigest()
    if stamp.exists():
        stamp.touch()
        return json.loads(stamp.read_text())
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "output"
        code, log = run_nvcc(compiler, source, target, output)
        errors = spills(log) if code == 0 else [log]
        result = {"name": f"{source.stem} {name}", "errors": errors,
                  "bytes": output.stat().st_size if code == 0 else 0,
                  "registers": max(map(int, re.findall(r"Used (\d+) registers", log)), default=0)}
    if not errors:
        stamp.write_text(json.dumps(result))
    return result


def all_jobs(sources, architectures):
    """Longest first. The last architecture comes as PTX too, in an object with the host's code."""
    ptx = f"arch=compute_{architectures[-1]},code=compute_{architectures[-1]}"
    targets = [("PTX and host", ["-c", "-gencode", ptx])]
    targets += [(f"sm_{a}", ["-cubin", "-gencode", f"arch=compute_{a},code=sm_{a}"])
                for a in architectures]
    return [(source, *target) for source in sorted(sources, key=lambda s: -s.stat().st_size)
            for target in targets]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--host", help="host compiler, where nvcc's default does not do")
    parser.add_argument("--stamps", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--max-mb", type=float, default=60, help="code of all architectures")
    parser.add_argument("architectures", nargs="+", help="such as 75 80")
    options = parser.parse_args()
    options.stamps.mkdir(parents=True, exist_ok=True)
    compiler = [options.nvcc, *FLAGS, *(["-ccbin", options.host] if options.host else [])]
    seen = version(options.nvcc) + version(options.host or "g++")
    jobs = all_jobs((ROOT / "kernels/cuda").glob("*.cu"), options.architectures)
    failed = size = registers = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda job: compile_one(job, compiler, seen, options.stamps), jobs):
            failed += bool(result["errors"])
            size += result["bytes"]
            registers = max(registers, result["registers"])
            for error in result["errors"]:
                print(f"{result['name']}:\n{error}", file=sys.stderr)
    print(f"CUDA: {len(jobs)} compilations for {' '.join(options.architectures)} + PTX, {failed} with "
          f"warnings or spills; {size / 1e6:.1f} MB of code, at most {registers} registers")
    if size > options.max_mb * 1e6:
        print(f"CUDA: more than {options.max_mb} MB of code", file=sys.stderr)
    return 1 if failed or size > options.max_mb * 1e6 else 0


if __name__ == "__main__":
    sys.exit(main())
