#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Load on a loopback worker: throughput, latency, CPU per photo against `scan`, memory.

Starts build/bin/face-worker on a free port, posts the photos of a folder from keep-alive clients,
then scans the same photos, and prints a Markdown table. Needs the standard library alone.

  bench/http_load.py --model small.fwp --photos ../shared/lfw_mini --clients 8 --requests 5000
"""

import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BOUNDARY = "face-bench"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def form(photo):
    head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{photo.name}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n").encode()
    return head + photo.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def cpu_seconds(pid):
    """User and system time of a running process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def await_ready(port, worker):
    while worker.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status == 200:
                return body
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit("the worker has ended; see its log above")


def client(port, bodies, numbers, seconds, failures):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for number in numbers:
        begin = time.perf_counter()
        connection.request("POST", "/detect", bodies[number % len(bodies)], headers)
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - begin)
        if answer.status != 200:
            failures.append(answer.status)


def load(port, bodies, clients, requests):
    """Posts `requests` bodies; seconds of each, statuses other than 200, wall seconds."""
    seconds, failures, threads = [], [], []
    begin = time.perf_counter()
    for i in range(clients):
        numbers = range(i, requests, clients)
        threads.append(threading.Thread(target=client,
                                        args=(port, bodies, numbers, seconds, failures)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return seconds, failures, time.perf_counter() - begin


def measure_worker(args, photos, bodies):
    port = free_port()
    flags = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    begin = time.perf_counter()
    worker = subprocess.Popen([args.worker, "--model", args.model, *flags, *args.flags])
    try:
        health = await_ready(port, worker)
        load(port, bodies, 1, 1)
        first_answer = time.perf_counter() - begin
        load(port, bodies, args.clients, len(photos))  # warm
        before_mib, before_cpu = resident_mib(worker.pid), cpu_seconds(worker.pid)
        seconds, failures, wall = load(port, bodies, args.clients, args.requests)
        cpu = cpu_seconds(worker.pid) - before_cpu
        after_mib = resident_mib(worker.pid)
    finally:
        worker.terminate()
    code = worker.wait()
    ordered = sorted(seconds)
    return {
        "device": health["device"], "precision": health["precision"],
        "start to first answer, s": round(first_answer, 2),
        "photos/s": round(args.requests / wall, 1),
        "median, ms": round(statistics.median(ordered) * 1000, 1),
        "p99, ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "not answered 200": len(failures),
        "CPU per photo, ms": round(cpu / args.requests * 1000, 3),
        "resident before, MiB": round(before_mib, 1),
        "resident after, MiB": round(after_mib, 1),
        "exit code": code,
    }


def measure_scan(args, photos):
    """CPU ms per photo of `scan`, from its first line of output on: start-up does not count."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.scan_photos):
            photo = photos[number % len(photos)]
            os.symlink(photo, f"{folder}/{number:06}{photo.suffix}")
        output = pathlib.Path(folder) / "faces.jsonl"
        command = [args.worker, "scan", folder, "-o", output, "--model", args.model, *args.flags]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (output.exists() and output.stat().st_size > 0):
            time.sleep(0.005)
        lines, before = output.read_bytes().count(b"\n"), cpu_seconds(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"scan failed: {command}")
        return (usage.ru_utime + usage.ru_stime - before) / (args.scan_photos - lines) * 1000


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
    rows = measure_worker(args, photos, [form(photo) for photo in photos])
    scan_cpu = measure_scan(args, photos)
    rows["CPU per photo of scan, ms"] = round(scan_cpu, 3)
    rows["worker / scan"] = round(rows["CPU per photo, ms"] / scan_cpu, 3)
    print(f"| {args.clients} clients, {args.requests} requests | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
