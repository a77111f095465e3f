#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times networks in our engine and in its peers, alternating, and prints a Markdown table.

    bench/peers.py --face-exec build/bin/face_exec --threads 2 \
        det_10g=PACK.fwp:detector:det_10g.onnx:640 w600k_r50=PACK.fwp:recogniser:w600k_r50.onnx:112

Each NETWORK is NAME=PACK:ROLE:ONNX:SIZE. Every round runs all engines one after the other for a
slice of time each; the table gives the median over rounds of each round's median, and how many times
faster ours was, as the median of the ratios of each round: noise that lasts longer than a round hits
all alike. Peers that are not installed are left out and named. See bench/README.md.
"""
import argparse
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


class Engine:
    """One runtime with one network loaded: run() is a single inference of self.input."""

    def __init__(self, network, threads):
        self.input = network.input
        self.threads = threads

    def slice(self, seconds):
        """Median milliseconds of the runs that fit into `seconds`, at least three."""
        times, end = [], time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            self.run()
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)


class Ours:
    """face_exec as a child process, which times its own iterations."""

    def __init__(self, network, threads, face_exec, precision):
        self.command = [face_exec, "--model", network.pack, "--network", network.role,
                        "--input", network.input_path, "--output", str(Path(network.folder) / "out"),
                        "--threads", str(threads), "--batch", str(network.batch),
                        "--precision", precision]
        self.iterations = 3
        self.slice(0)

    def close(self):
        pass

    def slice(self, seconds):
        command = self.command + ["--iterations", str(self.iterations)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"median\D*([\d.]+)", done.stdout)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        median = float(found[1])
        self.iterations = max(3, int(seconds * 1e3 / median))
        return median


class OnnxRuntime(Engine):
    def __init__(self, network, threads):
        super().__init__(network, threads)
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(network.onnx, options,
                                                    providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def run(self):
        return self.session.run(None, {self.name: self.input})


class OpenVino(Engine):
    def __init__(self, network, threads, precision):
        super().__init__(network, threads)
        import openvino
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU",
                                                                  "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("no bf16 on this CPU")
        model = core.read_model(network.onnx)
        model.reshape(list(self.input.shape))
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision})
        self.request = compiled.create_infer_request()

    def run(self):
        return self.request.infer([self.input])


class Ncnn(Engine):
    """Converted by the pnnx program of the pnnx package."""

    def __init__(self, network, threads, bf16=False):
        super().__init__(network, threads)
        import ncnn
        if network.batch != 1:
            raise RuntimeError("batch 1 only")
        param = convert_for_ncnn(network)
        self.ncnn = ncnn
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.opt.use_fp16_packed = self.net.opt.use_fp16_storage = False
        self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = bf16
        if self.net.load_param(str(param)) or self.net.load_model(str(param.with_suffix(".bin"))):
            raise RuntimeError("conversion failed")
        self.mat = ncnn.Mat(self.input[0])

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input(self.net.input_names()[0], self.mat)
        return [extractor.extract(name) for name in self.net.output_names()]


class Mnn(Engine):
    """Converted by mnnconvert of the MNN package."""

    def __init__(self, network, threads, precision):
        super().__init__(network, threads)
        import MNN
        path = Path(network.folder) / "model.mnn"
        if not path.exists():
            tool = find_tool("mnnconvert", [])
            subprocess.run([tool, "-f", "ONNX", "--modelFile", network.onnx, "--MNNModel",
                            str(path), "--bizCode", "x"], check=True, capture_output=True)
        self.interpreter = MNN.Interpreter(str(path))
        self.session = self.interpreter.createSession(
            {"backend": "CPU", "precision": precision, "numThread": threads})
        tensor = self.interpreter.getSessionInput(self.session)
        self.interpreter.resizeTensor(tensor, tuple(self.input.shape))
        self.interpreter.resizeSession(self.session)
        tensor = self.interpreter.getSessionInput(self.session)
        tensor.copyFrom(MNN.Tensor(tuple(self.input.shape), MNN.Halide_Type_Float, self.input,
                                   MNN.Tensor_DimensionType_Caffe))

    def run(self):
        self.interpreter.runSession(self.session)
        return list(self.interpreter.getSessionOutputAll(self.session).values())


def find_tool(name, folders):
    """A program beside this python, on the path, or in one of `folders`."""
    for folder in [str(Path(sys.executable).parent), *folders]:
        if os.access(Path(folder) / name, os.X_OK) and (Path(folder) / name).is_file():
            return str(Path(folder) / name)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} not found")
    return found


def convert_for_ncnn(network):
    import importlib.util
    spec = importlib.util.find_spec("pnnx")
    folders = [str(Path(spec.origin).parent)] if spec else []
    tool = find_tool("pnnx", []) if not folders else str(Path(folders[0]) / "pnnx")
    copy = Path(network.folder) / "model.onnx"
    param = Path(network.folder) / "model.ncnn.param"
    if not param.exists():
        shutil.copy(network.onnx, copy)
        shape = ",".join(str(n) for n in network.input.shape)
        subprocess.run([tool, copy.name, f"inputshape=[{shape}]"], cwd=network.folder,
                       capture_output=True, check=False)
    if not param.exists():
        raise RuntimeError("pnnx could not convert it")
    return param


class Network:
    def __init__(self, text, batch, folder):
        self.name, rest = text.split("=", 1)
        self.pack, self.role, self.onnx, size = rest.rsplit(":", 3)
        self.batch = batch
        self.folder = str(Path(folder) / self.name)
        Path(self.folder).mkdir()
        generator = np.random.default_rng(1)
        shape = (batch, 3, int(size), int(size))
        self.input = generator.uniform(-1, 1, shape).astype(np.float32)
        self.input_path = str(Path(self.folder) / "input.npy")
        np.save(self.input_path, self.input)


PEERS = {
    "onnxruntime": OnnxRuntime,
    "OpenVINO fp32": lambda network, threads: OpenVino(network, threads, "f32"),
    "OpenVINO bf16": lambda network, threads: OpenVino(network, threads, "bf16"),
    "ncnn fp32": Ncnn,
    "ncnn bf16": lambda network, threads: Ncnn(network, threads, bf16=True),
    "MNN high": lambda network, threads: Mnn(network, threads, "high"),
    "MNN normal": lambda network, threads: Mnn(network, threads, "normal"),
}


def serve(connection, title, network, threads):
    """A peer's process: loads the network, then answers seconds with a median until told None."""
    try:
        engine = PEERS[title](network, threads)
        engine.slice(0)
        connection.send(None)
        while (seconds := connection.recv()) is not None:
            connection.send(engine.slice(seconds))
    except Exception as error:  # sent to the parent, which reports it
        connection.send(str(error) or repr(error))


class Peer:
    """A peer in a process of its own: runtimes do not share threads, and a crash is only its own."""

    def __init__(self, title, network, threads):
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far, title, network, threads))
        self.process.start()
        far.close()
        if (error := self.answer()) is not None:
            raise RuntimeError(error)

    def answer(self):
        try:
            return self.connection.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"crashed with exit code {self.process.exitcode}") from None

    def slice(self, seconds):
        self.connection.send(seconds)
        return self.answer()

    def close(self):
        self.connection.send(None)
        self.process.join()


def make_engines(network, columns, args):
    """Engine by column title; what cannot run here is reported and left out."""
    engines = {}
    for title in columns:
        try:
            if title == "ours":
                engines[title] = Ours(network, args.threads, args.face_exec, args.precision)
            else:
                engines[title] = Peer(title, network, args.threads)
        except RuntimeError as error:
            if title == "ours":
                raise
            print(f"{network.name}: without {title}: {error}", file=sys.stderr)
    return engines


def measure(engines, args):
    """Milliseconds by engine, one value per round; the order turns from round to round."""
    times = {title: [] for title in engines}
    titles = list(engines)
    for number in range(args.rounds):
        for title in titles[number % len(titles):] + titles[:number % len(titles)]:
            time.sleep(args.pause)
            times[title].append(engines[title].slice(args.seconds))
    return times


def ratio(times, title):
    return statistics.median(peer / ours for peer, ours in zip(times[title], times["ours"]))


def print_row(network, times, columns):
    cells = [network.name]
    for title in columns:
        cell = f"{statistics.median(times[title]):.2f}" if title in times else "–"
        if title in times and title != "ours" and "ours" in times:
            cell += f" ({ratio(times, title):.2f}×)"
        cells.append(cell)
    peers = [title for title in times if title != "ours"]
    best = min(peers, key=lambda t: statistics.median(times[t]), default="–")
    cells.append(f"{ratio(times, best):.2f}× {best}" if "ours" in times and peers else best)
    print("| " + " | ".join(cells) + " |", flush=True)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="NAME=PACK:ROLE:ONNX:SIZE")
    parser.add_argument("--face-exec", help="our engine; without it only the peers are timed")
    parser.add_argument("--precision", default="fp32", help="of ours, and which peers take part")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each engine in each round")
    parser.add_argument("--pause", type=float, default=0.2, help="lets a peer's threads fall asleep")
    return parser.parse_args()


def wanted_columns(args):
    columns = ["ours", *PEERS]
    if args.face_exec is None:
        columns.remove("ours")
    if args.precision == "fp32":
        columns = [c for c in columns if "bf16" not in c and "normal" not in c]
    return columns


def main():
    args = parse_args()
    columns = wanted_columns(args)
    print(f"Milliseconds, {args.threads} threads, batch {args.batch}, {args.precision}; in brackets "
          "how many times faster ours was.\n")
    print("| network | " + " | ".join(columns) + " | best peer |")
    print("|---" * (len(columns) + 2) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for text in args.networks:
            network = Network(text, args.batch, folder)
            engines = make_engines(network, columns, args)
            print_row(network, measure(engines, args), columns)
            for engine in engines.values():
                engine.close()


if __name__ == "__main__":
    main()
