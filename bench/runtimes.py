# SPDX-License-Identifier: MIT
"""Networks in other runtimes, for bench/peers.py: each class loads one and runs it in run().

run() returns the graph's outputs as float32 arrays, in any order.
"""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np


class OnnxRuntime:
    def __init__(self, network, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(network.onnx, options,
                                                    providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: network.input}

    def run(self):
        return self.session.run(None, self.feed)


class OpenVino:
    def __init__(self, network, threads, precision):
        import openvino
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU",
                                                                  "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("no bf16 on this CPU")
        model = core.read_model(network.onnx)
        model.reshape(list(network.input.shape))
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision})
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(network.input))
        self.outputs = len(compiled.outputs)

    def run(self):
        self.request.infer()
        return [np.array(self.request.get_output_tensor(i).data, np.float32)
                for i in range(self.outputs)]


class Ncnn:
    """Converted by the pnnx program of the pnnx package."""

    def __init__(self, network, threads, bf16):
        import ncnn
        if network.input.shape[0] != 1:
            raise RuntimeError("batch 1 only")
        param = convert_for_ncnn(network)
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.opt.use_fp16_packed = self.net.opt.use_fp16_storage = False
        self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = bf16
        if self.net.load_param(str(param)) or self.net.load_model(str(param.with_suffix(".bin"))):
            raise RuntimeError("conversion failed")
        self.mat = ncnn.Mat(network.input[0])

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input(self.net.input_names()[0], self.mat)
        outputs = []
        for name in self.net.output_names():
            code, mat = extractor.extract(name)
            if code != 0:
                raise RuntimeError(f"no output {name}")
            outputs.append(np.array(mat))
        return outputs


class Mnn:
    """Converted by mnnconvert of the MNN package."""

    def __init__(self, network, threads, precision):
        import MNN
        self.mnn = MNN
        path = Path(network.folder) / "model.mnn"
        if not path.exists():
            subprocess.run([find_tool("mnnconvert"), "-f", "ONNX", "--modelFile", network.onnx,
                            "--MNNModel", str(path), "--bizCode", "x"], check=True,
                           capture_output=True)
        shape = tuple(network.input.shape)
        self.interpreter = MNN.Interpreter(str(path))
        self.session = self.interpreter.createSession(
            {"backend": "CPU", "precision": precision, "numThread": threads})
        self.interpreter.resizeTensor(self.interpreter.getSessionInput(self.session), shape)
        self.interpreter.resizeSession(self.session)
        self.input = self.interpreter.getSessionInput(self.session)
        self.source = MNN.Tensor(shape, MNN.Halide_Type_Float, network.input,
                                 MNN.Tensor_DimensionType_Caffe)

    def run(self):
        self.input.copyFrom(self.source)  # a session takes its input's memory for other things
        self.interpreter.runSession(self.session)
        return [self.to_numpy(tensor) for tensor in
                self.interpreter.getSessionOutputAll(self.session).values()]

    def to_numpy(self, tensor):
        shape = tensor.getShape()
        host = self.mnn.Tensor(shape, self.mnn.Halide_Type_Float, np.zeros(shape, np.float32),
                               self.mnn.Tensor_DimensionType_Caffe)
        tensor.copyToHostTensor(host)
        return np.array(host.getNumpyData())


def find_tool(name):
    """A program beside this python or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} not found")
    return found


def convert_for_ncnn(network):
    spec = importlib.util.find_spec("pnnx")
    tool = str(Path(spec.origin).parent / "pnnx") if spec else find_tool("pnnx")
    param = Path(network.folder) / "model.ncnn.param"
    if not param.exists():
        shutil.copy(network.onnx, Path(network.folder) / "model.onnx")
        shape = ",".join(str(n) for n in network.input.shape)
        subprocess.run([tool, "model.onnx", f"inputshape=[{shape}]", "fp16=0"],
                       cwd=network.folder, capture_output=True, check=False)
    if not param.exists():
        raise RuntimeError("pnnx could not convert it")
    return param


# Title: class, its last arguments, whether it computes in float32.
RUNTIMES = {
    "onnxruntime": (OnnxRuntime, (), True),
    "OpenVINO fp32": (OpenVino, ("f32",), True),
    "OpenVINO bf16": (OpenVino, ("bf16",), False),
    "ncnn fp32": (Ncnn, (False,), True),
    "ncnn bf16": (Ncnn, (True,), False),
    "MNN high": (Mnn, ("high",), True),
    "MNN normal": (Mnn, ("normal",), False),
}
