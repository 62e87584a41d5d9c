"""How near quantised networks stay to float32, beside onnxruntime's static quantisation (QDQ, channel by channel) of the same file.

    python -m benchmarks.passes.quantized_accuracy [--data noise|photos|text] [--files mtcnn_onet.onnx ...] [--json FILE]

Prints the ratio of signal to noise of every output in dB, on inputs that calibration has not seen, each engine against its own
float32. Files are those of zoo/ in the folder of models (`places.py`). onnxruntime reads ONNX alone: of other files it is given
what `benchmarks/peers/export_onnx.py` writes, where that can.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.peers.plain import NotExportedError, plain
from benchmarks.places import models_folder
from edgebn.errors import ModelError
from edgebn.program import Program

OPSET = 13  # from here on weights have a scale a channel
CALIBRATION, UNSEEN = 32, 16
# File, and the shape that is said where the file leaves it open.
FILES = {
    "mtcnn_onet.onnx": None,
    "mtcnn_pnet.onnx": (48, 48, 3),
    "ppocr_cls.onnx": (3, 48, 192),
    "ppocr_det_v4.onnx": (3, 160, 160),
    "fastestdet.onnx": None,
    "mp_face_back.tflite": None,
    "mp_face_full_sparse.tflite": None,
    "ulfg_rfb320.onnx": None,
    "ulfg_rfb320_tfl.tflite": None,
    "basic_pitch_onnx.onnx": None,
    "basic_pitch_tfl.tflite": None,
    "esp_streaming.onnx": None,
    "tm_cifar10_h5.h5": None,
    "tm_mnist_dw_f.tflite": None,
}
BELOW_ONE = ("fastestdet", "tm_")  # take numbers of 0 to 1, the others -1 to 1


def inputs(program: Program, kind: str, name: str, count: int, seed: int) -> dict[str, np.ndarray]:
    """Return numbers for every input: uniform noise, or for images small photographs made larger or lines of text."""
    rng = np.random.default_rng(seed)
    low = 0.0 if name.startswith(BELOW_ONE) else -1.0
    found = {}
    for given in program.inputs:
        shape = program.shapes[given]
        if kind == "text" and len(shape) == 3 and shape[2] == 3:
            found[given] = text(count, seed, shape[:2]) * (1 - low) + low
        elif kind == "photos" and len(shape) == 3 and shape[2] in (1, 3):
            images = np.load(models_folder() / "data" / "cifar10_dev.npz")["x_train"][seed * 100 : seed * 100 + count] / 255.0
            rows, columns = (np.arange(size) * 32 // size for size in shape[:2])
            found[given] = (images[:, rows][:, :, columns, : shape[2]] * (1 - low) + low).astype(np.float32)
        else:
            found[given] = rng.uniform(low, 1, (count, *shape)).astype(np.float32)
    return found


def text(count: int, seed: int, size: tuple[int, int]) -> np.ndarray:
    """Return images (N, H, W, 3) of 0 to 1 with lines of letters."""
    from PIL import Image, ImageDraw, ImageFont

    rng, font = np.random.default_rng(seed), ImageFont.load_default(size=18)
    pages = []
    for _ in range(count):
        page = Image.new("RGB", size[::-1], tuple(int(level) for level in rng.integers(150, 256, 3)))
        for top in range(5, size[0] - 20, 45):
            line = "".join(rng.choice(list("abcdefghij KLMNOP0123"), 10))
            ink = tuple(int(level) for level in rng.integers(0, 100, 3))
            ImageDraw.Draw(page).text((int(rng.integers(0, 40)), top), line, fill=ink, font=font)
        pages.append(np.asarray(page, np.float32) / 255)
    return np.stack(pages)


def ratio(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return signal to noise in dB."""
    exact = wanted.astype(np.float64)
    noise = ((found - exact) ** 2).sum()
    return float(10 * np.log10((exact**2).sum() / noise)) if noise else float("inf")


def ours(program: Program, calibration: dict[str, np.ndarray], unseen: dict[str, np.ndarray]) -> list[float]:
    """Return the ratio of every output."""
    quantized = edgebn.quantize(program, calibration)
    results = []
    for one in (program, quantized):
        result = edgebn.Session(one).run(unseen if len(unseen) > 1 else next(iter(unseen.values())))
        results.append(result if isinstance(result, dict) else {program.outputs[0]: result})
    return [ratio(results[0][name], results[1][name]) for name in program.outputs]


def onnxruntimes(path: Path, program: Program, calibration: dict[str, np.ndarray], unseen: dict[str, np.ndarray]) -> list[float]:
    """Return the same of onnxruntime, a sample at a time."""
    import onnx
    import onnx.version_converter
    import onnxruntime as ort
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory() as folder:
        model = onnx.load(path)
        order = {}
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            if value.name not in program.inputs:
                continue
            shape = program.shapes[value.name]
            known = tuple(dim.dim_value for dim in dims)[1:]
            first = any(size not in (0, ours) for size, ours in zip(known, shape, strict=True))
            order[value.name] = (0, len(shape), *range(1, len(shape))) if first else tuple(range(len(shape) + 1))
            wanted = (1, shape[-1], *shape[:-1]) if first else (1, *shape)
            for dim, size in zip(dims, wanted, strict=True):
                dim.dim_value = size
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        if model.opset_import[0].version < OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
        source, target = f"{folder}/float.onnx", f"{folder}/int8.onnx"
        onnx.save(model, source)
        quantization.quant_pre_process(source, source, skip_symbolic_shape=True)
        name_values_anew(source)

        def samples(given: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
            turned = {name: np.ascontiguousarray(array.transpose(order[name])) for name, array in given.items()}
            return [{name: array[i : i + 1] for name, array in turned.items()} for i in range(len(next(iter(turned.values()))))]

        class Samples(quantization.CalibrationDataReader):
            def __init__(self) -> None:
                self.left = iter(samples(calibration))

            def get_next(self) -> dict[str, np.ndarray] | None:
                return next(self.left, None)

        quantization.quantize_static(source, target, Samples(), per_channel=True, weight_type=quantization.QuantType.QInt8)
        runs = []
        for file in (source, target):
            session = ort.InferenceSession(file)
            runs.append(
                [np.concatenate(column) for column in zip(*(session.run(None, one) for one in samples(unseen)), strict=True)]
            )
        return [ratio(wanted, found) for wanted, found in zip(*runs, strict=True)]


def name_values_anew(path: str) -> None:
    """Number the values within an ONNX file: names that begin alike make onnxruntime's quantiser mistake one for another."""
    import onnx

    model = onnx.load(path)
    ends = {value.name for value in (*model.graph.input, *model.graph.output)}
    names: dict[str, str] = {name: name for name in ("", *ends)}
    for node in model.graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.setdefault(name, f"value_{len(names)}_") for name in listed]
        node.name = node.output[0]
    for constant in model.graph.initializer:
        constant.name = names.setdefault(constant.name, f"value_{len(names)}_")
    del model.graph.value_info[:]
    onnx.save(model, path)


def peers(path: Path, program: Program, calibration: dict[str, np.ndarray], unseen: dict[str, np.ndarray]) -> list[float]:
    """Return onnxruntime's ratios, or none where it is not installed or there is no ONNX file."""
    if not find_spec("onnxruntime"):
        return []
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        if path.suffix == ".onnx":
            return onnxruntimes(path, program, calibration, unseen)
        from benchmarks.peers.export_onnx import onnx_bytes

        written = Path(folder) / "network.onnx"
        try:
            written.write_bytes(onnx_bytes(plain(program, movement=True)))
        except NotExportedError:
            return []
        return onnxruntimes(written, program, calibration, unseen)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("noise", "photos", "text"), default="photos")
    parser.add_argument("--files", nargs="+", default=list(FILES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    print(f"{'file':28}{'output':28}{'edgebn dB':>10}{'onnxruntime dB':>16}")
    for file in arguments.files:
        path = models_folder() / "zoo" / file
        try:
            shape = FILES.get(file)
            program = edgebn.load(path, **({} if shape is None else {"input_shape": shape}))
        except ModelError as error:
            print(f"{file:28}not loaded: {str(error)[-90:]}")
            continue
        seen, unseen = (inputs(program, arguments.data, file, *pair) for pair in ((CALIBRATION, 0), (UNSEEN, 1)))
        found = ours(program, seen, unseen)
        others = peers(path, program, seen, unseen)
        for i, name in enumerate(program.outputs):
            peer = others[i] if others else None
            print(f"{file:28}{name[-27:]:28}{found[i]:10.1f}{'-' if peer is None else f'{peer:.1f}':>16}", flush=True)
            rows.append({"file": file, "output": name, "data": arguments.data, "edgebn": found[i], "onnxruntime": peer})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
