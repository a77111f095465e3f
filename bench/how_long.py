#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""I have N photos and this machine: how long, and what could a GPU change at most?

    bench/how_long.py --pack PACK.fwp --photos FOLDER --count 200000 --check

Takes a sample of the folder through photo_bench and measures each stage; docs/how_long.md has the
model that turns them into hours. --check also runs `face-worker scan` on the sample, in turn with the
measurements, and says how far the model was off. Nothing is said about a GPU's speed: what is given
is the bound that decoding on this machine's cores sets to any.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import whole_photos

DETECT = ("preprocess_ms", "detect_ms", "postprocess_ms")
EMBED = ("align_ms", "embed_ms")


class Model:
    """Milliseconds of wall time: of one core per photo to decode, of all cores per photo to detect and
    per face to align and embed."""

    def __init__(self, passes, cores, megabytes):
        photos = passes[0]["photos"]
        self.cores, self.megabytes = cores, megabytes

        def median_of(*keys):
            return statistics.median(sum(p[key] for key in keys) for p in passes)

        self.faces = passes[0]["faces"] / photos
        self.megapixels = passes[0]["megapixels"] / photos
        self.decode = median_of("decode_ms") / photos
        self.detect = median_of(*DETECT) / photos
        self.embed = median_of(*EMBED) / max(1, passes[0]["faces"])

    def stages(self):
        """Milliseconds per photo, every core busy: what they add up to is the time of a photo."""
        return {"decode": self.decode / self.cores, "detect": self.detect,
                "align and embed": self.faces * self.embed}

    def photo(self):
        return sum(self.stages().values())

    def gpu_bound(self):
        """How many times faster any GPU could make it: only decoding is left, on all cores."""
        return self.photo() / self.stages()["decode"]


def scan_seconds(args, photos):
    """Wall time of `face-worker scan` over links to `photos`, from start to exit."""
    with tempfile.TemporaryDirectory() as folder:
        for number, photo in enumerate(photos):
            os.symlink(photo, f"{folder}/{number:06}{photo.suffix}")
        begin = time.perf_counter()
        subprocess.run([f"{args.bin}/face-worker", "scan", folder, "-o", f"{folder}/faces.jsonl",
                        "--model", args.pack, "--device", "cpu", "--precision", args.precision,
                        "--threads", str(args.threads)], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin


def measure(args, photos):
    """Passes of photo_bench, and milliseconds per photo of scan runs between them."""
    bench = whole_photos.ours(args, photos, batch=8)
    scans = []
    for _ in range(args.rounds):
        bench.run()
        if args.check:
            start = scan_seconds(args, photos[:1])  # loading, and one photo
            whole = scan_seconds(args, photos * args.repeat)
            scans.append((whole - start) * 1e3 / (len(photos) * args.repeat - 1))
    bench.close()
    return bench.passes, scans


def duration(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def print_answer(model, scans, args):
    stages, photo = model.stages(), model.photo()
    print(f"Photos like these: {model.megapixels:.2f} megapixels, {model.megabytes:.2f} MB, "
          f"{model.faces:.2f} faces on average; {model.cores} cores.\n")
    rows = [[name, f"{ms:.2f}", f"{ms / photo:.0%}"] for name, ms in stages.items()]
    print(common.markdown(["stage", "ms per photo, all cores", "share"],
                          [*rows, ["together", f"{photo:.2f}", ""]]))
    print(f"\n**{args.count:,} photos: {duration(args.count * photo / 1e3)}** "
          f"({1e3 / photo:.1f} photos/s), {args.count * model.megabytes / 1e3:.1f} GB to read.")
    bound = args.count * stages["decode"] / 1e3
    print(f"With any GPU not less than {duration(bound)}: decoding stays on these cores, so "
          f"{model.gpu_bound():.1f} times faster at the very most.")
    if scans:
        real = statistics.median(scans)
        print(f"\nChecked: `scan` took {real:.2f} ms per photo, the model says {photo:.2f} "
              f"({photo / real - 1:+.0%}).")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", required=True, help="weight file (.fwp)")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000, help="N")
    parser.add_argument("--sample", type=int, default=40, help="photos that are measured")
    parser.add_argument("--check", action="store_true", help="also run scan on the sample")
    parser.add_argument("--repeat", type=int, default=3, help="times scan takes the sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", default="build/bin", help="folder of our programs")
    parser.add_argument("--precision", default="auto")
    common.add_core_option(parser)
    common.add_json_option(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    args.threads = common.pin(args.cores)
    photos = [path.resolve() for path in whole_photos.find_photos(args.photos, args.sample)]
    megabytes = sum(path.stat().st_size for path in photos) / len(photos) / 1e6
    load = common.Load()
    try:
        passes, scans = measure(args, photos)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"how_long.py: {error}")
    model = Model(passes, args.threads, megabytes)
    run = common.describe_run(load)
    print_answer(model, scans, args)
    print("\n" + common.run_sentence(run))
    row = {"stages": model.stages(), "photo_ms": model.photo(), "gpu_bound": model.gpu_bound(),
           "scan_ms": statistics.median(scans) if scans else None, "faces": model.faces,
           "megapixels": model.megapixels}
    common.save(args.json, "how_long", {"count": args.count, "precision": args.precision}, [row], run)


if __name__ == "__main__":
    main()
