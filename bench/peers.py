#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times networks, or whole photos, in our engine and in its peers, alternating; prints Markdown.

Networks, against onnxruntime, OpenVINO, ncnn and MNN; each is NAME=PACK:ROLE:ONNX:SIZE:

    bench/peers.py --bin build/bin --threads 2 \\
        det_10g=PACK.fwp:detector:det_10g.onnx:640 w600k_r50=PACK.fwp:recogniser:w600k_r50.onnx:112

Whole photos, decoding to embeddings, against InsightFace's Python package with the same weights:

    bench/peers.py --bin build/bin --photos FOLDER --pack PACK.fwp --onnx DET.onnx REC.onnx

Every round runs all contenders one after the other; a figure is the median over rounds, a ratio the
median of each round's ratio: noise that lasts longer than a round hits all alike. Peers that are not
installed are named on stderr and left out. See bench/README.md.
"""
import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import common
import contenders
import runtimes
import whole_photos


ALIKE = 0.05  # bf16 stays below


class Network:
    def __init__(self, text, batch, folder):
        self.name, rest = text.split("=", 1)
        self.pack, self.role, self.onnx, size = rest.rsplit(":", 3)
        self.folder = str(Path(folder) / self.name)
        Path(self.folder).mkdir()
        generator = np.random.default_rng(1)
        shape = (batch, 3, int(size), int(size))
        self.input = generator.uniform(-1, 1, shape).astype(np.float32)
        self.input_path = str(Path(self.folder) / "input.npy")
        np.save(self.input_path, self.input)


class Peak:
    """How long the network's multiplications would take if the cores did nothing else, at the speed
    of this moment: clocks change. As a contender, so that each round has its own."""

    TITLE = "arithmetic's limit"

    def __init__(self, network, args):
        size = ["--size", str(network.input.shape[2])] if network.role == "detector" else []
        done = subprocess.run([f"{args.bin}/weights_tool", "inspect", network.onnx, *size],
                              capture_output=True, text=True, check=True)
        macs = float(re.search(r"total: .*?([\d.]+) GMAC", done.stdout)[1])
        self.gflop = 2 * macs * args.batch
        self.command = [f"{args.bin}/machine_limits", "--arithmetic", "--threads", str(args.threads)]
        self.units = ["fp32_gflops"] + ["bf16_gflops"] * (args.precision != "fp32")
        self.first = []

    def slice(self, seconds):
        del seconds
        done = subprocess.run(self.command, capture_output=True, text=True, check=True)
        limits = json.loads(done.stdout)
        return 1e3 * self.gflop / max(limits.get(unit, 0) for unit in self.units)

    def close(self):
        pass


class Ours:
    """face_exec as a child process, which times its own iterations."""

    def __init__(self, network, threads, face_exec, precision):
        self.output = Path(network.folder) / "out"
        self.command = [face_exec, "--model", network.pack, "--network", network.role,
                        "--input", network.input_path, "--output", str(self.output),
                        "--threads", str(threads), "--precision", precision, "--device", "cpu"]
        self.median = self.run(3)
        self.first = [np.load(path) for path in self.output.glob("*.npy")]

    def run(self, iterations):
        command = [*self.command, "--iterations", str(iterations)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"\bmedian ([\d.]+) ms", done.stdout)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return float(found[1])

    def slice(self, seconds):
        self.median = self.run(max(3, int(seconds * 1e3 / self.median)))
        return self.median

    def close(self):
        pass


def deviation(outputs, wanted):
    """The worst output's relative L2 distance from the nearest of `wanted` that has its size."""
    worst = 0.0
    for reference in wanted:
        reference = np.asarray(reference, np.float64).ravel()
        near = [np.linalg.norm(np.asarray(o, np.float64).ravel() - reference)
                for o in outputs if np.size(o) == reference.size]
        worst = max(worst, min(near, default=np.inf) / max(np.linalg.norm(reference), 1e-30))
    return worst


def make_network_contenders(network, args):
    """Contender by title; what cannot run here is reported and left out."""
    found = {}
    if args.bin:
        found["ours"] = Ours(network, args.threads, f"{args.bin}/face_exec", args.precision)
        found[Peak.TITLE] = Peak(network, args)
    for title, (runtime, last, is_fp32) in runtimes.RUNTIMES.items():
        if args.precision == "fp32" and not is_fp32:
            continue
        try:
            found[title] = contenders.Contender(runtime, network, args.threads, *last)
        except RuntimeError as error:
            print(f"{network.name}: without {title}: {error}", file=sys.stderr)
    return found


def measure(found, args):
    try:
        return contenders.alternate(found, args.rounds, args.seconds, args.pause)
    finally:
        for contender in found.values():
            contender.close()


def measure_network(text, args, folder):
    network = Network(text, args.batch, folder)
    found = make_network_contenders(network, args)
    wanted = found["onnxruntime"].first if "onnxruntime" in found else None
    errors = {} if wanted is None else {t: deviation(c.first, wanted) for t, c in found.items()
                                        if t != Peak.TITLE}
    row = {"name": network.name, "deviation": errors}
    if Peak.TITLE in found:
        row["gflop"] = found[Peak.TITLE].gflop
    row["times"] = measure(found, args)
    limit = row["times"].pop(Peak.TITLE, None)
    if limit is not None:
        row["limit"] = limit
    medians = ", ".join(f"{t} {statistics.median(v):.2f}" for t, v in row["times"].items())
    print(f"{network.name}: {medians} ms", file=sys.stderr)
    return row


def network_cells(row, columns):
    times, cells = row["times"], [row["name"]]
    for title in columns:
        cell = f"{statistics.median(times[title]):.2f}" if title in times else "–"
        if title in times and title != "ours" and "ours" in times:
            cell += f" ({contenders.ratio(times, title):.2f}×)"
        cells.append(cell)
    peers = [title for title in times if title != "ours"]
    if "ours" not in times or not peers:
        return cells + [min(peers, key=lambda t: statistics.median(times[t]), default="–")]
    least, best = min((contenders.ratio(times, title), title) for title in peers)
    return cells + [f"{least:.2f}× {best}"]


def rate_cells(row, columns):
    """GFLOP/s, as a direct convolution counts them, and the share of what the arithmetic allows."""
    cells = [row["name"]]
    for title in columns:
        times = row["times"].get(title)
        if times is None or "limit" not in row:
            cells.append("–")
            continue
        share = statistics.median(limit / time for limit, time in zip(row["limit"], times))
        cells.append(f"{1e3 * row['gflop'] / statistics.median(times):.0f} ({share:.0%})")
    return cells


def print_networks(rows, args):
    columns = ["ours", *runtimes.RUNTIMES]
    columns = [c for c in columns if any(c in row["times"] for row in rows)]
    print(f"Milliseconds, {args.threads} threads, batch {args.batch}, {args.precision}; in brackets "
          "how many times faster ours was.\n")
    print(common.markdown(["network", *columns, "best peer"],
                          [network_cells(row, columns) for row in rows]))
    if any("limit" in row for row in rows):
        print("\nGFLOP/s, as direct convolutions would count them, and the share of what the cores' "
              "multiply-adds alone would reach; Winograd multiplies less and can pass 100%.\n")
        print(common.markdown(["network", *columns], [rate_cells(row, columns) for row in rows]))
    print("\nWhat they compute: worst relative L2 of an output against onnxruntime's. Above "
          f"{ALIKE:g} an engine did something else, and its time means nothing.\n")
    print(common.markdown(["network", *columns],
                          [[row["name"], *(f"{row['deviation'][c]:.0e}" if c in row["deviation"]
                                           else "–" for c in columns)] for row in rows]))


def print_photos(row, args):
    times, photos = row["times"], row["photos"]
    print(f"{photos} photos ({row['megapixels']:.2f} megapixels on average), {args.threads} threads, "
          "one photo after the other, decoding to embeddings.\n")
    rows = []
    for title, values in times.items():
        each = statistics.median(values) / photos
        slower = f"{contenders.ratio(times, title):.2f}×" if "ours" in times else "–"
        rows.append([title, f"{each:.2f}", f"{1e3 / each:.1f}", row["faces"][title], slower])
    print(common.markdown(["", "ms per photo", "photos/s", "faces", "time, ours = 1"], rows))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NAME=PACK:ROLE:ONNX:SIZE")
    parser.add_argument("--bin", help="folder of our programs; without it only peers are timed")
    parser.add_argument("--precision", default="fp32", help="of ours, and which peers take part")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1, help="of networks")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each network in each round")
    parser.add_argument("--pause", type=float, default=0.2, help="lets a peer's threads fall asleep")
    parser.add_argument("--photos", type=Path, help="a folder: whole photos are timed")
    parser.add_argument("--limit", type=int, default=40, help="photos taken from the folder")
    parser.add_argument("--pack", help="weight file of --photos")
    parser.add_argument("--onnx", nargs=2, metavar=("DET", "REC"), help="the same weights as ONNX")
    common.add_core_option(parser)
    common.add_json_option(parser)
    args = parser.parse_args()
    if bool(args.networks) == bool(args.photos):
        parser.error("give networks, or --photos with --pack and --onnx")
    if args.photos and not (args.pack and args.onnx):
        parser.error("--photos needs --pack and --onnx")
    return args


def main():
    args = parse_args()
    common.pin(args.cores)
    load = common.Load()
    with tempfile.TemporaryDirectory() as folder:
        if args.networks:
            rows = [measure_network(text, args, folder) for text in args.networks]
            print_networks(rows, args)
        else:
            found, row = whole_photos.make_contenders(args, folder)
            row["times"] = measure(found, args)
            rows = [row]
            print_photos(row, args)
    run = common.describe_run(load)
    print("\n" + common.run_sentence(run))
    settings = {key: getattr(args, key) for key in ("threads", "batch", "precision", "rounds")}
    common.save(args.json, "networks" if args.networks else "photos", settings, rows, run)


if __name__ == "__main__":
    main()
