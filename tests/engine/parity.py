# SPDX-License-Identifier: MIT
"""Raw outputs of face_exec against onnxruntime on the same ONNX file: relative L2 per output.

    FACE_PYTHON tests/engine/parity.py build/bin/weights_tool build/bin/face_exec [MODEL.onnx ...]

Takes the models given and one of every family with generated weights. Converts each, feeds both a
seeded picture-like input, fp32 and bf16. Exits 1 if an output's name or shape differs or its error is
over the limit (or not a number), 77 (skipped) without onnxruntime.
"""
import pathlib
import subprocess
import sys
import tempfile

LIMITS = {"fp32": 1e-4, "bf16": 2e-2}
SKIPPED = 77
GENERATED = {
    "buffalo_l": ("det_10g.onnx", "w600k_r50.onnx"),
    "buffalo_m": ("det_2.5g.onnx",),
    "buffalo_s": ("det_500m.onnx", "w600k_mbf.onnx"),
    "antelopev2": ("glintr100.onnx",),
}


def generated_models(tool, folder):
    for release, files in GENERATED.items():
        subprocess.run([tool, "synth", release, "-o", f"{folder}/{release}"], check=True,
                       stdout=subprocess.DEVNULL)
        yield from (f"{folder}/{release}/{file}" for file in files)


def network_input(session, numpy):
    shape = session.get_inputs()[0].shape
    height, width = (side if isinstance(side, int) and side > 0 else 640 for side in shape[2:])
    random = numpy.random.default_rng(7)
    coarse = random.normal(size=(1, 3, (height + 7) // 8, (width + 7) // 8))
    smooth = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    return (0.5 * smooth + 0.1 * random.normal(size=smooth.shape)).astype(numpy.float32)


def run_ours(tools, model, session, x, precision, folder, numpy):
    pack, source, output = folder / "model.fwp", folder / "x.npy", folder / precision
    if not pack.exists():
        subprocess.run([tools[0], "convert", model, "-o", pack], check=True, stdout=subprocess.DEVNULL)
    numpy.save(source, x)
    role = "detector" if len(session.get_outputs()) > 1 else "recogniser"
    command = [tools[1], "--model", pack, "--network", role, "--input", source, "--output", output,
               "--precision", precision, "--threads", "2"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    names = [o.name for o in session.get_outputs()]
    return [numpy.load(output / (name.replace("/", "_") + ".npy")) for name in names]


def check_model(tools, model, numpy, onnxruntime):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = network_input(session, numpy)
    wanted = session.run(None, {session.get_inputs()[0].name: x})
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for precision, limit in LIMITS.items():
            found = run_ours(tools, model, session, x, precision, pathlib.Path(folder), numpy)
            worst = 0.0
            for output, want, got in zip(session.get_outputs(), wanted, found):
                if want.shape != got.shape:
                    print(f"{model}: {output.name}: shape {got.shape}, want {want.shape}")
                    good = False
                    continue
                error = numpy.linalg.norm(got - want) / numpy.linalg.norm(want)
                worst = max(worst, error) if error == error else error
                if not error <= limit:
                    print(f"{model}: {output.name}: {precision} error {error:.2e}, limit {limit:.0e}")
                    good = False
            print(f"{pathlib.Path(model).name}: {precision} worst relative L2 {worst:.2e}")
    return good


def main():
    tools, models = sys.argv[1:3], [m for m in sys.argv[3:] if pathlib.Path(m).exists()]
    try:
        import numpy
        import onnxruntime
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        models += generated_models(tools[0], folder)
        results = [check_model(tools, model, numpy, onnxruntime) for model in models]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
