#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Closed-loop load on a loopback worker: throughput, CPU per photo against `scan`, memory.

Starts build/bin/face-worker on a free port, posts the photos of a folder from keep-alive clients,
then scans the same photos, and prints a Markdown table. Needs the standard library alone.

  bench/http_load.py --model small.fwp --photos ../shared/lfw_mini --clients 8 --requests 5000

Latency against load, beside another worker: bench/http/open_loop.py.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import common

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "http"))
import load  # noqa: E402
import service  # noqa: E402


def measure_worker(args, photos, bodies):
    worker = service.ours(args.worker, args.model, args.flags)
    try:
        load.closed_loop(worker.port, bodies, 1, requests=1)
        first_answer = time.perf_counter() - worker.begin
        load.closed_loop(worker.port, bodies, args.clients, requests=len(photos))  # warm
        before_mib, before_cpu = worker.resident(), worker.cpu()
        result = load.closed_loop(worker.port, bodies, args.clients, requests=args.requests)
        cpu, after_mib = worker.cpu() - before_cpu, worker.resident()
    finally:
        code = worker.stop()
    return {
        "device": worker.health["device"], "precision": worker.health["precision"],
        "start to first answer, s": round(first_answer, 2),
        "photos/s": round(args.requests / result.wall, 1),
        "median, ms": round(statistics.median(result.seconds) * 1000, 1),
        "p99, ms": round(common.percentile(result.seconds, 0.99) * 1000, 1),
        "not answered 200": result.failed,
        "CPU per photo, ms": round(cpu / args.requests * 1000, 3),
        "resident before, MiB": round(before_mib, 1),
        "resident after, MiB": round(after_mib, 1),
        "exit code": code,
    }


def measure_scan(args, photos):
    """CPU ms per photo of `scan`, from its first line of output on: start-up does not count. None if
    it was done by then."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.scan_photos):
            photo = photos[number % len(photos)]
            os.symlink(photo, f"{folder}/{number:06}{photo.suffix}")
        output = pathlib.Path(folder) / "faces.jsonl"
        command = [args.worker, "scan", folder, "-o", output, "--model", args.model, *args.flags]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (output.exists() and output.stat().st_size > 0):
            time.sleep(0.005)
        lines, before = output.read_bytes().count(b"\n"), service.cpu_seconds(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"scan failed: {command}")
        rest = args.scan_photos - lines
        return (usage.ru_utime + usage.ru_stime - before) / rest * 1000 if rest > 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photos", required=True, type=pathlib.Path)
    parser.add_argument("--worker", default="build/bin/face-worker")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--scan-photos", type=int, default=1000)
    parser.add_argument("flags", nargs="*", help="flags for the worker and scan, after --")
    args = parser.parse_args()
    photos = sorted(path.resolve() for path in args.photos.rglob("*.jpg"))
    if not photos:
        sys.exit(f"no .jpg under {args.photos}")
    rows = measure_worker(args, photos, [service.form(photo) for photo in photos])
    scan_cpu = measure_scan(args, photos)
    if scan_cpu is None:
        print("--scan-photos: too few to time scan", file=sys.stderr)
    else:
        rows["CPU per photo of scan, ms"] = round(scan_cpu, 3)
        rows["worker / scan"] = round(rows["CPU per photo, ms"] / scan_cpu, 3)
    print(common.markdown([f"{args.clients} clients, {args.requests} requests", ""], rows.items()))


if __name__ == "__main__":
    main()
