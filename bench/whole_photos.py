# SPDX-License-Identifier: MIT
"""Photos from encoded bytes to embeddings, for bench/peers.py: ours and InsightFace's own package."""
import json
import os
import subprocess
import sys
from pathlib import Path

import contenders

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def find_photos(folder, limit):
    """Up to `limit` photos, spread evenly over the sorted folder."""
    photos = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    if not photos:
        sys.exit(f"no photos under {folder}")
    step = max(1, len(photos) / limit)
    return [photos[int(i * step)] for i in range(min(limit, len(photos)))]


class PhotoBench:
    """A child (photo_bench or dlib_bench) that answers each line of stdin with a pass over all
    photos, as a line of JSON whose "total_ms" is its own measurement. `passes`: of the slices."""

    def __init__(self, command, warm=True):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)
        self.passes = []
        if warm:
            self.first = self.run()
            self.passes.clear()

    def run(self):
        try:
            self.child.stdin.write("\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.child.args[0]} ended with {self.child.wait()}")
        self.passes.append(json.loads(line))
        return self.passes[-1]

    def slice(self, _seconds):
        return self.run()["total_ms"]

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def ours(args, photos, batch=1):
    return PhotoBench([f"{args.bin}/photo_bench", "--model", args.pack, "--threads",
                       str(args.threads), "--precision", args.precision, "--batch", str(batch),
                       "--passes", "1000000", "--wait", *map(str, photos)])


class InsightFace:
    """One pass over all photos through FaceAnalysis.get, as its users call it."""

    def __init__(self, folder, photos, threads):
        import cv2
        import onnxruntime
        cv2.setNumThreads(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        from insightface.app import FaceAnalysis
        self.app = FaceAnalysis(folder, allowed_modules=["detection", "recognition"],
                                providers=["CPUExecutionProvider"], sess_options=options)
        self.app.prepare(ctx_id=-1, det_size=(640, 640), det_thresh=0.5)
        self.decode = lambda data: cv2.imdecode(data, cv2.IMREAD_COLOR)
        import numpy
        self.photos = [numpy.frombuffer(Path(path).read_bytes(), numpy.uint8) for path in photos]

    def run(self):
        """Number of faces and of pixels."""
        faces = pixels = 0
        for data in self.photos:
            picture = self.decode(data)
            pixels += picture.shape[0] * picture.shape[1]
            faces += len(self.app.get(picture))
        return faces, pixels


def model_folder(onnx, folder):
    """A folder with the two networks alone: that is how FaceAnalysis takes them."""
    target = Path(folder) / "models"
    target.mkdir()
    for path in onnx:
        os.symlink(Path(path).resolve(), target / Path(path).name)
    return str(target)


def make_contenders(args, folder):
    """Contenders by title, and the row that describes the photos and what each found in them."""
    photos = find_photos(args.photos, args.limit)
    found, row = {}, {"photos": len(photos), "faces": {}}
    if args.bin:
        found["ours"] = ours(args, photos)
        row["faces"]["ours"] = found["ours"].first["faces"]
        row["megapixels"] = found["ours"].first["megapixels"] / len(photos)
    try:
        peer = contenders.Contender(InsightFace, model_folder(args.onnx, folder), photos,
                                    args.threads)
        found["InsightFace (Python)"] = peer
        row["faces"]["InsightFace (Python)"], pixels = peer.first
        row["megapixels"] = pixels / 1e6 / len(photos)
    except RuntimeError as error:
        print(f"without InsightFace: {error}", file=sys.stderr)
    return found, row
