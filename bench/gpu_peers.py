#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same ONNX files on the same GPU in other runtimes, by batch: PyTorch (fp16, channels_last,
CUDA graph) and onnxruntime-gpu (fp32). A runtime that cannot be imported, or cannot take a file, is
named and left out. Prints Markdown: times, inputs and outputs on the device, median of 30; and how
far PyTorch's outputs are from onnxruntime's, relative L2 of the worst.

  bench/gpu_peers.py FOLDER_OF_ONNX [--batches 1,32]
  bench/gpu_peers.py --list                what can be imported here
  bench/gpu_peers.py FOLDER_OF_ONNX --device cpu --size 64
                                           dry run without a GPU: no CUDA graph, and no times, which
                                           would say nothing
"""
import argparse
import importlib.util
import pathlib
import statistics
import sys
import time

import common

ROUNDS, WARM = 30, 5
ALIKE = 0.05  # relative L2; fp16 stays below


def noise(shape):
    import numpy
    return numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)


class Torch:
    """An ONNX graph walked node by node with torch's own operations, captured in a CUDA graph."""

    name = "PyTorch fp16"
    needs = ("torch", "onnx")
    # What computes sizes: upsampling is by 2, and a reshape to a computed size flattens.
    ignored = ("Shape", "Gather", "Unsqueeze", "Slice", "Concat")

    def __init__(self, path, shape, device):
        import onnx
        import torch
        from onnx import numpy_helper
        self.torch, self.device = torch, device
        graph = onnx.load(str(path)).graph
        self.nodes = [node for node in graph.node if node.op_type not in self.ignored]
        self.names = [o.name for o in graph.output]
        self.plain = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.constants = {name: self.on_device(array) for name, array in self.plain.items()}
        self.attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                           for node in self.nodes]
        self.input_name = graph.input[0].name
        self.input = self.on_device(noise(shape))
        with torch.no_grad():
            self.results = self.walk() if device == "cpu" else self.capture()

    def capture(self):
        stream = self.torch.cuda.Stream()
        stream.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(stream):
            for _ in range(3):
                self.walk()
        self.torch.cuda.synchronize()
        self.graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(self.graph):
            results = self.walk()
        self.graph.replay()
        return results

    def outputs(self):
        return [result.float().cpu().numpy() for result in self.results]

    def on_device(self, array):
        tensor = self.torch.from_numpy(array.copy())
        if not tensor.is_floating_point():
            return tensor
        tensor = tensor.to(self.device, self.torch.half)
        return tensor.to(memory_format=self.torch.channels_last) if tensor.ndim == 4 else tensor

    def walk(self):
        values = {**self.constants, self.input_name: self.input}
        for node, attributes in zip(self.nodes, self.attributes):
            arguments = [values.get(name) for name in node.input]
            operation = getattr(self, "op_" + node.op_type.lower(), None)
            if operation is None:
                raise RuntimeError(f"operation {node.op_type}")
            values[node.output[0]] = operation(attributes, node, *arguments)
        return [values[name] for name in self.names]

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
    """Fp32 as the file says (tf32 where the provider uses it), input and outputs on the device.
    Batch and size that a file fixes (det_10g: one picture) are freed."""

    name = "onnxruntime-gpu"
    needs = ("onnxruntime", "onnx", "numpy")

    def __init__(self, path, shape, device):
        import onnxruntime
        provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise RuntimeError(f"this onnxruntime has no {provider}")
        if device == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA and cuDNN as pip installs them
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.any_shape(path), options,
                                                    providers=[provider])
        if provider not in self.session.get_providers():
            raise RuntimeError(f"its {provider} does not start")
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(
            self.session.get_inputs()[0].name,
            onnxruntime.OrtValue.ortvalue_from_numpy(noise(shape), device, 0))
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name, device)
        self.session.run_with_iobinding(self.binding)

    @staticmethod
    def any_shape(path):
        """The file's bytes with nothing said about the shapes of inputs and outputs."""
        import onnx
        model = onnx.load(str(path))
        for dimension in model.graph.input[0].type.tensor_type.shape.dim:
            dimension.Clear()
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        return model.SerializeToString()

    def outputs(self):
        return self.binding.copy_outputs_to_cpu()

    def time_ms(self):
        begin = time.perf_counter()
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return 1e3 * (time.perf_counter() - begin)


def measure(runtime, path, shape, device):
    """A runtime's cell and outputs: "-" and None if it failed, which costs a cell, not the table."""
    try:
        instance = runtime(path, shape, device)
        outputs = instance.outputs()
        if device == "cpu":
            return "ran", outputs
        ms = statistics.median([instance.time_ms() for _ in range(WARM + ROUNDS)][WARM:])
        return f"{ms:.3f} ms, {1e3 * shape[0] / ms:.0f}/s", outputs
    except Exception as error:
        print(f"{runtime.name}, {path.name}, batch {shape[0]}: {error}", file=sys.stderr)
        return "-", None


def difference(found, wanted):
    """Relative L2 of the worst output; "-" if there is nothing to compare. A file whose sizes are
    for one picture gives something else for two in a runtime that takes them at their word."""
    import numpy
    if found is None or wanted is None:
        return "-"
    if [f.shape for f in found] != [w.shape for w in wanted]:
        return "other shapes"
    worst = max(numpy.linalg.norm(f - w) / numpy.linalg.norm(w) for f, w in zip(found, wanted))
    return f"{worst:.1e}" + ("" if worst <= ALIKE else ", not the same network")


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
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--size", type=int, default=640, help="of a detector's input")
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    options = parser.parse_args()
    runtimes = [runtime for runtime in (Torch, OnnxRuntime) if importable(runtime)]
    if options.list:
        return 0
    if options.folder is None:
        parser.error("which folder of ONNX files?")
    if not runtimes:
        return 77
    rows = []
    for path in sorted(options.folder.glob("*.onnx")):
        size = options.size if path.name.startswith(("det", "scrfd")) else 112
        for batch in map(int, options.batches.split(",")):
            shape = (batch, 3, size, size)
            results = [measure(r, path, shape, options.device) for r in runtimes]
            differ = difference(*(outputs for _, outputs in results)) if len(results) == 2 else "-"
            rows.append([path.stem, batch, *(cell for cell, _ in results), differ])
    print(common.markdown(["network", "batch", *(r.name for r in runtimes), "difference"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
