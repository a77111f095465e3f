#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Latency of a worker against its load, ours beside FastAPI + InsightFace with the same weights.

    bench/http/open_loop.py --pack PACK.fwp --onnx DET.onnx REC.onnx --photos FOLDER

Capacity: what a closed loop of --clients gets answered per second, each worker's own. Then an open
loop, requests at random moments, at 25, 50, 75 and 90% of that; latency counts from the moment a
request was due. Workers are measured in turn in each round, and all rounds' latencies taken
together. Loopback only; stops by itself. Where generator and worker share cores, the generator's work
is part of what is seen: --load-cores keeps it elsewhere. The peer needs fastapi, uvicorn,
python-multipart, insightface; without --onnx ours is measured alone.
"""
import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402
import load as generator  # noqa: E402
import service  # noqa: E402
import whole_photos  # noqa: E402

SHARES = (0.25, 0.5, 0.75, 0.9)


class Point:
    """All that was measured of one worker at one rate."""

    def __init__(self):
        self.seconds, self.lateness, self.errors = [], [], {}
        self.cpu = self.sent = 0

    def add(self, result, cpu):
        self.seconds += result.seconds
        self.lateness += result.lateness
        self.cpu += cpu
        self.sent += len(result.seconds) + result.failed
        for what, count in result.errors.items():
            self.errors[what] = self.errors.get(what, 0) + count

    def quantile(self, q):
        """Milliseconds; None where fewer than one answer would lie above."""
        if len(self.seconds) * (1 - q) < 0.999:
            return None
        return common.percentile(self.seconds, q) * 1e3

    def row(self, title, share, rate):
        quantiles = {f"p{name}_ms": self.quantile(q) for name, q in
                     (("50", 0.5), ("99", 0.99), ("99.9", 0.999))}
        return {"title": title, "share": share, "rate": rate, "sent": self.sent, **quantiles,
                "errors": self.errors, "cpu_ms": self.cpu / max(1, self.sent) * 1e3,
                "generator_late_p99_ms": common.percentile(self.lateness, 0.99) * 1e3}


def start_all(args, folder):
    flags = ["--device", "cpu", "--threads", args.threads, *args.flags]
    services = {"ours": service.ours(args.worker, args.pack, flags)}
    if args.onnx:
        try:
            models = whole_photos.model_folder(args.onnx, folder)
            services["FastAPI + InsightFace"] = service.reference(models, args.threads)
        except SystemExit as error:
            print(f"without FastAPI + InsightFace: {error}", file=sys.stderr)
    return services


def capacities(services, bodies, args):
    """Photos per second of each, the median of the rounds; the first photos warm it up."""
    found = {title: [] for title in services}
    for one in services.values():
        generator.closed_loop(one.port, bodies, args.clients, requests=max(20, 2 * args.clients))
    for _ in range(args.rounds):
        for title, one in services.items():
            result = generator.closed_loop(one.port, bodies, args.clients, seconds=args.seconds)
            found[title].append(len(result.seconds) / result.wall)
    return {title: statistics.median(rates) for title, rates in found.items()}


def measure(services, bodies, capacity, args):
    points = {(title, share): Point() for share in SHARES for title in services}
    for number in range(args.rounds):
        for share in SHARES:
            for title, one in services.items():
                before = one.cpu()
                result = generator.open_loop(one.port, bodies, capacity[title] * share,
                                             args.seconds, seed=number + 1)
                points[title, share].add(result, one.cpu() - before)
    return [point.row(title, share, capacity[title] * share)
            for (title, share), point in points.items()]


def number(value):
    return "–" if value is None else f"{value:.1f}"


def print_tables(rows, capacity, memory, args):
    print(common.markdown(
        ["", f"photos/s, {args.clients} clients", "resident, MiB", "CPU per photo, ms"],
        [[title, f"{capacity[title]:.1f}", f"{memory[title]:.0f}",
          number(statistics.median(r["cpu_ms"] for r in rows if r["title"] == title))]
         for title in capacity]))
    print("\nLatency in ms, open loop:\n")
    print(common.markdown(
        ["", "share of capacity", "requests/s", "p50", "p99", "p99.9", "sent", "errors",
         "generator late, p99"],
        [[r["title"], f"{r['share']:.0%}", f"{r['rate']:.1f}",
          *(number(r[f"p{q}_ms"]) for q in ("50", "99", "99.9")), r["sent"],
          ", ".join(f"{count} × {what}" for what, count in r["errors"].items()) or "none",
          number(r["generator_late_p99_ms"])] for r in rows]))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", required=True, help="weight file of ours")
    parser.add_argument("--onnx", nargs=2, metavar=("DET", "REC"), help="the same, for the peer")
    parser.add_argument("--photos", type=Path, default=common.shared_dir() / "lfw_mini")
    parser.add_argument("--limit", type=int, default=100, help="photos taken from the folder")
    parser.add_argument("--worker", default="build/bin/face-worker")
    parser.add_argument("--clients", type=int, default=8, help="of the closed loop")
    parser.add_argument("--seconds", type=float, default=20, help="of each load in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of both workers; default: one per core")
    parser.add_argument("--load-cores", type=common.parse_cores, help="cores of the generator")
    parser.add_argument("flags", nargs="*", help="flags for our worker, after --")
    common.add_core_option(parser)
    common.add_json_option(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    args.threads = args.threads or common.pin(args.cores)
    common.pin(args.cores)
    bodies = [service.form(photo) for photo in whole_photos.find_photos(args.photos, args.limit)]
    load = common.Load()
    with tempfile.TemporaryDirectory() as folder:
        services = start_all(args, folder)
        try:
            common.pin(args.load_cores)
            capacity = capacities(services, bodies, args)
            rows = measure(services, bodies, capacity, args)
            memory = {title: one.resident() for title, one in services.items()}
        finally:
            for one in services.values():
                one.stop()
    run = common.describe_run(load)
    print_tables(rows, capacity, memory, args)
    print("\n" + common.run_sentence(run))
    settings = {"threads": args.threads, "clients": args.clients, "capacity": capacity,
                "resident_mib": memory}
    common.save(args.json, "latency", settings, rows, run)


if __name__ == "__main__":
    main()
