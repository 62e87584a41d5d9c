"""How near networks of torchvision, timm and ultralytics stay to float32 as int8, beside onnxruntime's static quantisation.

    python -m benchmarks.passes.quantized_exports [--networks yolov8n ...] [--keep FOLDER] [--json FILE]

Prints the ratio of signal to noise of each network's first output in dB, each engine against its own float32 of the same ONNX file:
8 pictures calibrate, 16 others are judged. Networks have random weights, and batch norms that have seen pictures
(`tests/recorders/real_networks.py`); it runs where PyTorch and those packages are, as in `.venv-frameworks`. Each has a process of
its own. `--keep` leaves the ONNX files in a folder, and takes those that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CALIBRATION, TESTED = 8, 16  # of fewer, one picture that is far from those of the calibration decides
SEEN = 0.05  # dB: two roundings of one rule differ by as much


def exported(name: str, path: Path) -> None:
    """Write a network's ONNX file, where it is not there."""
    if path.exists():
        return
    import torch

    from tests.recorders import real_networks

    module, x = real_networks.built(name)
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        torch.onnx.export(module, (x,), path, dynamo=False, opset_version=17)


def decibels(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return signal to noise in dB."""
    exact = wanted.astype(np.float64)
    return float(10 * np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))


def pictures(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of the calibration and those that are judged, (N, C, H, W)."""
    from tests.recorders.real_networks import picture

    return (
        np.stack([picture(number, shape) for number in range(CALIBRATION)]),
        np.stack([picture(100 + number, shape) for number in range(TESTED)]),
    )


def ours(path: Path) -> float:
    """Return the ratio of the first output as `edgebn.quantize` leaves it."""
    import edgebn

    program = edgebn.load(path)
    height, width, channels = program.shapes[program.inputs[0]]
    calibration, tested = (np.moveaxis(images, 1, -1) for images in pictures((channels, height, width)))
    results = []
    for one in (program, edgebn.quantize(program, calibration)):
        result = edgebn.Session(one).run(tested)
        results.append(result[program.outputs[0]] if isinstance(result, dict) else result)
    return decibels(*results)


def onnxruntimes(path: Path) -> float:
    """Return the ratio of the first output as onnxruntime's static quantisation leaves it (QDQ, a scale a channel)."""
    import onnxruntime
    from onnxruntime import quantization

    def session(file: Path) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter([{given.name: image[None]} for image in calibration])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    float32 = session(path)
    given = float32.get_inputs()[0]
    calibration, tested = pictures(tuple(given.shape[1:]))
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            path, quantized, Pictures(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        results = [
            np.concatenate([one.run(None, {given.name: image[None]})[0] for image in tested])
            for one in (float32, session(quantized))
        ]
    return decibels(*results)


def compared(name: str, path: Path) -> dict[str, float]:
    """Return both ratios of one network."""
    exported(name, path)
    return {"edgebn": ours(path), "onnxruntime": onnxruntimes(path)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="default: all of them")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, path = arguments.child
        print(json.dumps(compared(name, Path(path))))
        return
    if not arguments.networks:
        from tests.recorders.real_networks import NETWORKS

        arguments.networks = list(NETWORKS)
    rows, behind = [], []
    print(f"{'network':24}{'edgebn dB':>10}{'onnxruntime dB':>16}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in arguments.networks:
            path = folder / f"{name}.onnx"
            command = [sys.executable, "-m", "benchmarks.passes.quantized_exports", "--child", name, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name:24}{done.stderr.strip().splitlines()[-1][:200]}", flush=True)
                behind.append(name)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append({"network": name, **found})
            late = found["edgebn"] < found["onnxruntime"] - SEEN
            behind += [name] if late else []
            print(f"{name:24}{found['edgebn']:10.1f}{found['onnxruntime']:16.1f}{'  behind' if late else ''}", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=1))
    if behind:
        sys.exit(f"behind onnxruntime, or not done: {', '.join(behind)}")


if __name__ == "__main__":
    main()
