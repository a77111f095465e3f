#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A FastAPI + InsightFace worker of the same contract, as face workers are commonly run: one uvicorn
process, model loaded at start, handlers in FastAPI's thread pool. What bench/http measures ours against.

    reference_worker.py --models FOLDER_OF_ONNX --port 8001
"""
import argparse
import time

import cv2
import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI, File, HTTPException, UploadFile
from fastapi.middleware.cors import CORSMiddleware
from insightface.app import FaceAnalysis

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])


def load(folder, threads):
    cv2.setNumThreads(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    app.state.faces = FaceAnalysis(folder, allowed_modules=["detection", "recognition"],
                                   providers=["CPUExecutionProvider"], sess_options=options)
    app.state.faces.prepare(ctx_id=-1, det_size=(640, 640), det_thresh=0.5)


def describe(face):
    x1, y1, x2, y2 = (int(v) for v in face.bbox)
    return {"bbox_x": x1, "bbox_y": y1, "bbox_width": x2 - x1, "bbox_height": y2 - y1,
            "embedding": face.embedding.tolist(), "confidence": float(face.det_score),
            "landmarks": face.kps.tolist()}


def detect_bytes(data):
    begin = time.perf_counter()
    picture = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise HTTPException(400, "Invalid image format")
    faces = [describe(face) for face in app.state.faces.get(picture)]
    return {"faces": faces, "image_width": picture.shape[1], "image_height": picture.shape[0],
            "processing_time_ms": (time.perf_counter() - begin) * 1e3}


@app.get("/")
async def health():
    return {"status": "healthy", "gpu_available": False, "model_loaded": True, "device": "CPU"}


@app.post("/detect")
def detect(file: UploadFile = File(...)):
    return detect_bytes(file.file.read())


@app.post("/detect-batch")
def detect_batch(files: list[UploadFile] = File(...)):
    results = []
    for file in files:
        try:
            data = detect_bytes(file.file.read())
            results.append({"filename": file.filename, "success": True, "data": data})
        except HTTPException as error:
            results.append({"filename": file.filename, "success": False, "error": error.detail})
    return {"results": results, "total": len(files)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, help="folder with the two networks as ONNX")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--threads", type=int, default=0, help="of onnxruntime; 0: its default")
    args = parser.parse_args()
    load(args.models, args.threads)
    uvicorn.run(app, host=args.host, port=args.port, log_level="error")


if __name__ == "__main__":
    main()
