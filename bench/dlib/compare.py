#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dlib beside ours, on the same photos and cores: time, faces found, same person or not.

    bench/dlib/build.sh --models        # or: build.sh, and model files of your own by --models DIR
    bench/dlib/compare.py --pack PACK.fwp --models build-dlib/models --cores 0,1

Photos and pairs come from lfw_mini in FACE_SHARED (default ../shared): each photo has one labelled
face, in its middle, and pairs.tsv says which are the same person. Without --models dlib's networks
have random weights: then only times are given, and the table says so. Every round gives each
contender one pass over the photos, in turn; figures are medians, ratios medians of the rounds'. dlib's
networks are as fast as its BLAS: the reference library that Debian installs by default is slow, so try
--blas /usr/lib/x86_64-linux-gnu/openblas-pthread.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402
import contenders  # noqa: E402
import whole_photos  # noqa: E402

STAGES = {"decode": ("decode_ms",), "detect": ("preprocess_ms", "detect_ms", "postprocess_ms"),
          "align": ("align_ms",), "embed": ("embed_ms",)}


def read_pairs(path):
    lines = path.read_text().splitlines()[1:]
    return [(a, b, same == "1") for a, b, same in (line.split("\t") for line in lines)]


def read_faces(path):
    """What was found, by file name: the lines of `face-worker scan` or of dlib_bench --faces."""
    lines = (json.loads(line) for line in Path(path).read_text().splitlines())
    return {Path(line["file"]).name: line.get("faces", []) for line in lines}


def central_face(faces, side=250):
    """The face whose box covers the photo's middle, the nearest by its centre; None if none does."""
    def centre(face):
        return (face["bbox_x"] + face["bbox_width"] / 2, face["bbox_y"] + face["bbox_height"] / 2)

    middle = side / 2
    covering = [f for f in faces if abs(centre(f)[0] - middle) <= f["bbox_width"] / 2
                and abs(centre(f)[1] - middle) <= f["bbox_height"] / 2]
    return min(covering, key=lambda f: math.dist(centre(f), (middle, middle)), default=None)


def likeness(a, b, euclidean):
    """Cosine, or minus the distance (dlib's embeddings are made for it)."""
    if a is None or b is None:
        return -math.inf
    a, b = a["embedding"], b["embedding"]
    if euclidean:
        return -math.dist(a, b)
    return sum(x * y for x, y in zip(a, b)) / (math.hypot(*a) * math.hypot(*b))


def right_pairs(faces, pairs, euclidean):
    """Pairs told apart rightly at the best threshold. A photo without a face is like nobody."""
    central = {name: central_face(found) for name, found in faces.items()}
    scored = [(likeness(central[a], central[b], euclidean), same) for a, b, same in pairs]
    return max(sum((value >= limit) == same for value, same in scored)
               for limit in {value for value, _ in scored} | {math.inf})


def quality(faces, names, pairs, euclidean, trained=True):
    """right_pairs is None where embeddings come from random weights."""
    found = sum(central_face(faces[name]) is not None for name in names)
    return {"found": found, "labelled": len(names),
            "extra": sum(len(faces[name]) for name in names) - found,
            "right_pairs": right_pairs(faces, pairs, euclidean) if trained else None,
            "pairs": len(pairs)}


def our_quality(args, folder, names, pairs, trained):
    output = Path(folder) / "ours.jsonl"
    subprocess.run([f"{args.bin}/face-worker", "scan", args.photos, "-o", output, "--model",
                    args.pack, "--device", "cpu"], check=True, stderr=subprocess.DEVNULL)
    return quality(read_faces(output), names, pairs, euclidean=False, trained=trained)


def dlib_command(args, build, detector, upsample, blas=None):
    command = ["env", f"LD_LIBRARY_PATH={blas.resolve()}"] if blas else []
    command += [str(args.dlib / build / "dlib_bench"), "--detector", detector]
    command += ["--upsample"] * upsample
    return command + (["--models", str(args.models)] if args.models else [])


def dlib_quality(args, detector, upsample, folder, names, pairs):
    """All builds find the same; the last is asked."""
    output = Path(folder) / f"{detector}{upsample}.jsonl"
    command = dlib_command(args, args.builds[-1], detector, upsample, *args.blas[:1])
    child = whole_photos.PhotoBench([*command, "--faces", str(output),
                                     *(str(args.photos / name) for name in names)], warm=False)
    child.run()
    child.close()
    return quality(read_faces(output), names, pairs, euclidean=True)


def make_contenders(args, photos):
    found = {}
    for pack in args.pack:
        args_of_pack = argparse.Namespace(**{**vars(args), "pack": pack})
        found[f"ours, {Path(pack).stem}"] = whole_photos.ours(args_of_pack, photos)
    for build, blas in [(build, blas) for build in args.builds for blas in (None, *args.blas)]:
        for title, detector, upsample in args.detectors:
            command = dlib_command(args, build, detector, upsample, blas)
            name = f"dlib {build}" + (f" with {blas.name}" if blas else "") + f", {title}"
            found[name] = whole_photos.PhotoBench([*command, *map(str, photos)])
    return found


def time_row(title, contender, values, times, base):
    count = contender.first["photos"]
    note = "" if contender.first["trained"] else " (random weights)"
    row = {"title": title + note, "photos": count, "ms": statistics.median(values) / count,
           "faces": contender.first["faces"], "ratio": contenders.ratio(times, title, base)}
    for stage, keys in STAGES.items():
        sums = [sum(one.get(key, 0) for key in keys) for one in contender.passes]
        row[stage] = statistics.median(sums) / count
    row["embed_face"] = row["embed"] * count / max(1, row["faces"])
    return row


def print_times(rows, args):
    trained = "" if args.models else (" **dlib's networks have random weights**: times only; with "
                                      "the CNN detector one face per photo is embedded.")
    print(f"{rows[0]['photos']} photos, {args.threads} threads, one photo after the other.{trained}\n")
    print(common.markdown(
        ["ms per photo", "all", "decode", "detect", "align", "embed", "embed, per face",
         "time, first row = 1"],
        [[r["title"], *(f"{r[k]:.2f}" for k in ("ms", *STAGES, "embed_face")),
          f"{r['ratio']:.2f}×"] for r in rows]))


def print_quality(rows):
    def right(q):
        return "random weights" if q["right_pairs"] is None else f"{q['right_pairs']} of {q['pairs']}"

    print("\n" + common.markdown(
        ["lfw_mini", "labelled faces found", "other boxes", "pairs told apart rightly"],
        [[title, f"{q['found']} of {q['labelled']}", q["extra"], right(q)]
         for title, q in rows.items()]))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", nargs="+", required=True, help="weight files of ours (.fwp)")
    parser.add_argument("--bin", default="build/bin", help="folder of our programs")
    parser.add_argument("--dlib", type=Path, default=common.ROOT / "build-dlib")
    parser.add_argument("--models", type=Path, help="folder of dlib's model files")
    parser.add_argument("--blas", type=Path, nargs="*", default=[],
                        help="folders with another libblas.so.3, e.g. OpenBLAS's: timed with it, too")
    parser.add_argument("--photos", type=Path, default=common.shared_dir() / "lfw_mini")
    parser.add_argument("--limit", type=int, default=40, help="photos that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.2)
    parser.add_argument("--threads", type=int, help="default: one per core")
    parser.add_argument("--precision", default="fp32", help="of ours")
    parser.add_argument("--upsampled", action="store_true",
                        help="also time detectors on photos enlarged twofold, as dlib advises")
    parser.add_argument("--no-quality", action="store_true", help="times only")
    common.add_core_option(parser)
    common.add_json_option(parser)
    args = parser.parse_args()
    args.builds = [b for b in ("package", "native") if (args.dlib / b / "dlib_bench").exists()]
    if not args.builds:
        parser.error(f"no dlib_bench under {args.dlib}; run bench/dlib/build.sh")
    args.detectors = [("HOG", "hog", False), ("CNN", "cnn", False)]
    if args.upsampled:
        args.detectors += [("HOG, enlarged", "hog", True), ("CNN, enlarged", "cnn", True)]
    return args


def measure_quality(args, trained):
    """`trained`: by title, whether the weights are."""
    pairs = read_pairs(args.photos / "pairs.tsv")
    names = sorted({name for a, b, _ in pairs for name in (a, b)})
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for pack in args.pack:
            args_of_pack = argparse.Namespace(**{**vars(args), "pack": pack})
            sub = Path(folder) / Path(pack).stem
            sub.mkdir()
            title = f"ours, {Path(pack).stem}"
            rows[title] = our_quality(args_of_pack, sub, names, pairs, trained[title])
        for title, detector, upsample in args.detectors if args.models else []:
            rows[f"dlib, {title}"] = dlib_quality(args, detector, upsample, folder, names, pairs)
    return rows


def main():
    args = parse_args()
    cores = common.pin(args.cores)
    args.threads = args.threads or cores
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)
    load = common.Load()
    found = make_contenders(args, whole_photos.find_photos(args.photos, args.limit))
    times = contenders.alternate(found, args.rounds, 0, args.pause)
    for contender in found.values():
        contender.close()
    base = next(iter(found))
    rows = [time_row(t, c, times[t], times, base) for t, c in found.items()]
    print_times(rows, args)
    run = common.describe_run(load)
    trained = {title: bool(c.first["trained"]) for title, c in found.items()}
    judged = {} if args.no_quality else measure_quality(args, trained)
    if judged:
        print_quality(judged)
    print("\n" + common.run_sentence(run))
    settings = {"threads": args.threads, "precision": args.precision, "trained": bool(args.models)}
    common.save(args.json, "dlib", settings, {"times": rows, "quality": judged}, run)


if __name__ == "__main__":
    main()
