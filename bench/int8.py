#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What int8 would cost and give: both networks quantized, judged by faces and embeddings, timed.

    bench/int8.py --onnx DET.onnx REC.onnx

Weights per channel, activations per tensor, calibrated on photos of LFW-mini; judged inside
InsightFace's own pipeline against the same networks in float32: faces found, box IoU, embeddings'
cosine, LFW-mini accuracy. Timed in OpenVINO, whose int8 convolutions use VNNI or AMX. Variants:
every convolution in int8, and all but a network's first and its outputs'.
Needs numpy, onnx, onnxruntime, openvino, opencv-python-headless, insightface.
"""
import argparse
import csv
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

import common
import contenders
import runtimes
import whole_photos


class Recorder:
    """A session that keeps what it is fed."""

    def __init__(self, session):
        self.session, self.feeds = session, []

    def run(self, names, feed):
        self.feeds.append({key: value.copy() for key, value in feed.items()})
        return self.session.run(names, feed)


class Feeds:
    """Calibration data as onnxruntime's quantizer reads it."""

    def __init__(self, feeds):
        self.left = iter(feeds)

    def get_next(self):
        return next(self.left, None)


def open_session(path):
    import onnxruntime
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def make_app(onnx, folder):
    from insightface.app import FaceAnalysis
    app = FaceAnalysis(whole_photos.model_folder(onnx, folder),
                       allowed_modules=["detection", "recognition"],
                       providers=["CPUExecutionProvider"], static_shape_sessions=False)
    app.prepare(ctx_id=-1, det_size=(640, 640), det_thresh=0.5)
    return app


def read(path):
    import cv2
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


def record(app, photos):
    """What detector and recogniser are fed for these photos."""
    models = app.models["detection"], app.models["recognition"]
    sessions = [model.session for model in models]
    recorders = [Recorder(session) for session in sessions]
    for model, recorder in zip(models, recorders):
        model.session = recorder
    for photo in photos:
        app.get(read(photo))
    for model, session in zip(models, sessions):
        model.session = session
    return [recorder.feeds for recorder in recorders]


def edge_convolutions(path):
    """The first convolution and those whose result reaches an output through no other one."""
    import onnx
    graph = onnx.load(path).graph
    producers = {name: node for node in graph.node for name in node.output}
    found, queue = set(), [output.name for output in graph.output]
    while queue:
        node = producers.get(queue.pop())
        if node is None:
            continue
        if node.op_type in ("Conv", "Gemm"):
            found.add(node.name)
        else:
            queue += node.input
    return found | {next(node.name for node in graph.node if node.op_type == "Conv")}


def quantize(onnx_path, feeds, target, keep_edges, method):
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    import onnx
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(onnx_path, str(prepared), skip_symbolic_shape=True)
    modern = onnx.version_converter.convert_version(onnx.load(prepared), 13)  # scales per channel
    onnx.save(modern, prepared)
    quantize_static(str(prepared), str(target), Feeds(feeds), quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=["Conv", "Gemm"], per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    nodes_to_exclude=sorted(edge_convolutions(prepared)) if keep_edges else [],
                    calibrate_method=getattr(CalibrationMethod, method),
                    extra_options={"CalibPercentile": 99.99})


def find_faces(app, photos):
    return {photo.name: app.get(read(photo)) for photo in photos}


def iou(a, b):
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = np.prod(np.maximum(size, 0))
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


def cosine(a, b):
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def compare(found, wanted):
    """Faces lost and extra, worst and mean IoU, and cosine of the embeddings, against float32's."""
    lost = extra = 0
    ious, cosines = [], []
    for name, reference in wanted.items():
        left = list(found[name])
        for face in reference:
            best = max(left, key=lambda f: iou(f.bbox, face.bbox), default=None)
            if best is None or iou(best.bbox, face.bbox) < 0.5:
                lost += 1
                continue
            left = [face for face in left if face is not best]
            ious.append(iou(best.bbox, face.bbox))
            cosines.append(cosine(best.embedding, face.embedding))
        extra += len(left)
    return {"faces": len(ious) + lost, "lost": lost, "extra": extra,
            "iou": (min(ious), statistics.mean(ious)),
            "cosine": (min(cosines), statistics.mean(cosines))}


def lfw_accuracy(found, pairs):
    """Share of pairs told apart at the best threshold; the largest face counts, none is a miss."""
    scores = []
    for first, second, same in pairs:
        faces = [max(found[name], key=lambda f: np.prod(f.bbox[2:] - f.bbox[:2]), default=None)
                 for name in (first, second)]
        score = -1.0 if None in faces else cosine(faces[0].embedding, faces[1].embedding)
        scores.append((score, same))
    return max(sum((score >= limit) == same for score, same in scores) / len(scores)
               for limit, _ in scores)


def read_pairs(folder):
    with open(folder / "pairs.tsv", encoding="utf-8") as file:
        return [(row["first"], row["second"], row["same_person"] == "1")
                for row in csv.DictReader(file, delimiter="\t")]


class Timed:
    """One network and an input, as bench/runtimes.py wants them."""

    def __init__(self, onnx, feed):
        self.onnx, (self.input,) = str(onnx), feed.values()


def time_variants(models, feed, args):
    """Milliseconds by title: OpenVINO in float32 and bf16 on the first, in int8 on the others."""
    found = {}
    for title, path, precision in models:
        try:
            found[title] = contenders.Contender(runtimes.OpenVino, Timed(path, feed), args.threads,
                                                precision)
        except RuntimeError as error:
            print(f"without {title}: {error}", file=sys.stderr)
    try:
        return contenders.alternate(found, args.rounds, 0.5, 0.2)
    finally:
        for contender in found.values():
            contender.close()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", nargs=2, required=True, metavar=("DET", "REC"))
    parser.add_argument("--lfw", type=Path, default=common.shared_dir() / "lfw_mini")
    parser.add_argument("--photos", type=Path, default=common.shared_dir() / "images")
    parser.add_argument("--calibration", type=int, default=60, help="photos to calibrate with")
    parser.add_argument("--method", default="MinMax", choices=["MinMax", "Entropy", "Percentile"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    common.add_json_option(parser)
    return parser.parse_args()


def make_variants(args, feeds, folder):
    """(title, detector, recogniser): float32 first."""
    variants = [("float32", *args.onnx)]
    for title, keep_edges in (("int8", False), ("int8 but the edges", True)):
        paths = []
        for onnx, part in zip(args.onnx, feeds):
            paths.append(Path(folder) / f"{Path(onnx).stem}.{len(variants)}.onnx")
            quantize(onnx, part, paths[-1], keep_edges, args.method)
        variants.append((title, *paths))
    return variants


def judge(app, variant, photos, lfw, pairs, wanted):
    title, detector, recogniser = variant
    app.models["detection"].session = open_session(detector)
    app.models["recognition"].session = open_session(recogniser)
    found = find_faces(app, photos), find_faces(app, lfw)
    row = compare(found[0], (wanted or found)[0])
    row.update(title=title, accuracy=lfw_accuracy(found[1], pairs))
    return row, found


def accuracy_cells(row):
    return [row["title"], row["faces"], row["lost"], row["extra"],
            *(f"{worst:.4f} / {mean:.4f}" for worst, mean in (row["iou"], row["cosine"])),
            f"{row['accuracy']:.3f}"]


def main():
    args = parse_args()
    load = common.Load()
    photos = whole_photos.find_photos(args.photos, 1000)
    lfw = whole_photos.find_photos(args.lfw, 1000)
    rows, wanted = [], None
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(args.onnx, folder)
        feeds = record(app, whole_photos.find_photos(args.lfw, args.calibration))
        variants = make_variants(args, feeds, folder)
        for variant in variants:
            row, found = judge(app, variant, photos, lfw, read_pairs(args.lfw), wanted)
            wanted = wanted or found
            rows.append(row)
        print(common.markdown(["", "faces", "lost", "extra", "IoU worst / mean",
                               "cosine worst / mean", "LFW-mini"], map(accuracy_cells, rows)))
        times = {}
        for number, name in enumerate(("detector", "recogniser")):
            models = [("float32", args.onnx[number], "f32"), ("bf16", args.onnx[number], "bf16")]
            models += [(v[0], v[1 + number], "f32") for v in variants[1:]]
            times[name] = time_variants(models, feeds[number][0], args)
    titles = list(times["detector"])
    print("\nOpenVINO, milliseconds, in brackets times float32's speed:\n")
    print(common.markdown(["", *titles], [[name, *(
        f"{statistics.median(t[x]):.2f} ({1 / contenders.ratio(t, x, 'float32'):.2f}×)"
        for x in titles)] for name, t in times.items()]))
    run = common.describe_run(load)
    print("\n" + common.run_sentence(run))
    common.save(args.json, "int8", {"method": args.method, "threads": args.threads},
                [*rows, times], run)


if __name__ == "__main__":
    main()
