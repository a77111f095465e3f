#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same ONNX files on the same GPU in other runtimes, by batch: PyTorch (fp16, channels_last, CUDA
graph) and onnxruntime-gpu. A runtime that cannot be imported, or cannot take a file, is named and
left out. Prints Markdown. Inputs stay on the device; times are the device's, median of 30.

  bench/gpu_peers.py FOLDER_OF_ONNX [--batches 1,32]
  bench/gpu_peers.py --list                what can be imported here
"""
import argparse
import importlib.util
import pathlib
import statistics
import sys
import time

import common

ROUNDS, WARM = 30, 5


class Torch:
    """An ONNX graph walked node by node with torch's own operations, captured in a CUDA graph."""

    name = "PyTorch fp16"
    needs = ("torch", "onnx")
    # What computes sizes: upsampling is by 2, and a reshape to a computed size flattens.
    ignored = ("Shape", "Gather", "Unsqueeze", "Slice", "Concat")

    def __init__(self, path, shape):
        import numpy
        import onnx
        import torch
        from onnx import numpy_helper
        self.torch = torch
        graph = onnx.load(str(path)).graph
        self.nodes = [node for node in graph.node if node.op_type not in self.ignored]
        self.outputs = [o.name for o in graph.output]
        self.constants = {t.name: self.on_device(numpy_helper.to_array(t)) for t in graph.initializer}
        self.plain = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                           for node in self.nodes]
        self.input_name = graph.input[0].name
        self.input = self.on_device(numpy.random.default_rng(1).standard_normal(shape, numpy.float32))
        with torch.no_grad():
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.walk()
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.walk()

    def on_device(self, array):
        tensor = self.torch.from_numpy(array.copy())
        if not tensor.is_floating_point():
            return tensor
        tensor = tensor.to("cuda", self.torch.half)
        return tensor.to(memory_format=self.torch.channels_last) if tensor.ndim == 4 else tensor

    def walk(self):
        values = {**self.constants, self.input_name: self.input}
        for node, attributes in zip(self.nodes, self.attributes):
            arguments = [values.get(name) for name in node.input]
            operation = getattr(self, "op_" + node.op_type.lower(), None)
            if operation is None:
                raise RuntimeError(f"operation {node.op_type}")
            values[node.output[0]] = operation(attributes, node, *arguments)
        return [values[name] for name in self.outputs]

    def pooled(self, function, attributes, x, **more):
        pads = attributes.get("pads", [0, 0, 0, 0])
        if list(pads[:2]) != list(pads[2:]):
            raise RuntimeError("pads differ")
        return function(x, attributes["kernel_shape"], attributes["strides"], pads[:2],
                        ceil_mode=bool(attributes.get("ceil_mode", 0)), **more)

    def op_conv(self, attributes, _, x, weight, bias=None):
        pads = attributes.get("pads", [0, 0, 0, 0])
        return self.torch.nn.functional.conv2d(x, weight, bias, attributes.get("strides", [1, 1]),
                                               pads[:2], groups=attributes.get("group", 1))

    def op_batchnormalization(self, attributes, _, x, scale, shift, mean, variance):
        return self.torch.nn.functional.batch_norm(x, mean, variance, scale, shift,
                                                   eps=attributes.get("epsilon", 1e-5))

    def op_relu(self, _, __, x):
        return self.torch.relu(x)

    def op_prelu(self, _, __, x, slope):
        return self.torch.nn.functional.prelu(x, slope.flatten())

    def op_sigmoid(self, _, __, x):
        return self.torch.sigmoid(x)

    def op_add(self, _, __, a, b):
        return a + b

    def op_sub(self, _, __, a, b):
        return a - b

    def op_mul(self, _, __, a, b):
        return a * b

    def op_identity(self, _, __, x):
        return x

    def op_dropout(self, _, __, x, *more):
        return x

    def op_maxpool(self, attributes, _, x):
        return self.pooled(self.torch.nn.functional.max_pool2d, attributes, x)

    def op_averagepool(self, attributes, _, x):
        return self.pooled(self.torch.nn.functional.avg_pool2d, attributes, x,
                           count_include_pad=bool(attributes.get("count_include_pad", 0)))

    def op_resize(self, *arguments):
        return self.torch.nn.functional.interpolate(arguments[2], scale_factor=2, mode="nearest")

    def op_upsample(self, *arguments):
        return self.op_resize(*arguments)

    def op_flatten(self, attributes, _, x):
        return x.flatten(attributes.get("axis", 1))

    def op_gemm(self, attributes, _, x, weight, bias=None):
        weight = weight.t() if attributes.get("transB", 0) else weight
        return x @ weight if bias is None else x @ weight + bias

    def op_transpose(self, attributes, _, x):
        return x.permute(attributes["perm"])

    def op_reshape(self, _, node, x, shape=None):
        sizes = self.plain.get(node.input[1])
        return x.flatten(1) if sizes is None else x.reshape([int(n) for n in sizes])

    def op_softmax(self, attributes, _, x):
        return x.softmax(attributes.get("axis", -1))

    def time_ms(self):
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        self.graph.replay()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)


class OnnxRuntime:
    """Fp32 as the file says (tf32 where the provider uses it), input and outputs on the device."""

    name = "onnxruntime-gpu"
    needs = ("onnxruntime", "numpy")

    def __init__(self, path, shape):
        import numpy
        import onnxruntime
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise RuntimeError("this onnxruntime has no CUDA provider")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options,
                                                    providers=["CUDAExecutionProvider"])
        if "CUDAExecutionProvider" not in self.session.get_providers():
            raise RuntimeError("its CUDA provider does not start")
        value = numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name,
                                         onnxruntime.OrtValue.ortvalue_from_numpy(value, "cuda", 0))
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name, "cuda")

    def time_ms(self):
        begin = time.perf_counter()
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return 1e3 * (time.perf_counter() - begin)


def measure(runtime, path, shape):
    try:
        instance = runtime(path, shape)
        times = [instance.time_ms() for _ in range(WARM + ROUNDS)][WARM:]
    except Exception as error:  # a peer that fails costs a cell, not the table
        print(f"{runtime.name}, {path.name}, batch {shape[0]}: {error}", file=sys.stderr)
        return "-"
    ms = statistics.median(times)
    return f"{ms:.3f} ms, {1e3 * shape[0] / ms:.0f}/s"


def importable(runtime):
    absent = [name for name in runtime.needs if importlib.util.find_spec(name) is None]
    if absent:
        print(f"MISSING: Python's {', '.join(absent)}, so no {runtime.name}")
    return not absent


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    runtimes = [runtime for runtime in (Torch, OnnxRuntime) if importable(runtime)]
    if options.list:
        return 0
    if not runtimes:
        return 77
    rows = []
    for path in sorted(options.folder.glob("*.onnx")):
        size = 640 if path.name.startswith(("det", "scrfd")) else 112
        for batch in map(int, options.batches.split(",")):
            shape = (batch, 3, size, size)
            rows.append([path.stem, batch, *(measure(r, path, shape) for r in runtimes)])
    print(common.markdown(["network", "batch", *(r.name for r in runtimes)], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
