"""The networks that are timed, each in every form: float32, the int8 file where there is one, and int8 as edgebn quantises it.

The MLPerf Tiny networks are read from the folder of models (`places.py`); the demo's network stands in for them
where it is not there. The MobileNet stack is generated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.models.mobilenet import SIZE, mobilenet
from benchmarks.peers.engines import tflite_of
from benchmarks.places import models_folder
from edgebn.program import Program

ROOT = Path(__file__).resolve().parents[2]
MODELS = models_folder()
DEMO = ROOT / "edgebn" / "demo_data"
SAMPLES = 100  # that quantisation is calibrated with

FLOAT32, INT8_FILE, INT8 = "float32", "int8 file", "int8 by edgebn"


@dataclass(frozen=True)
class Case:
    """One network in one form.

    Attributes
    ----------
    network, form : str
    program : Program
    tflite : bytes or None
        The same for LiteRT: the file itself, or one written for it.
    x : ndarray (1, ...)
        One input, as `program` takes it: float32, or int8 codes.
    """

    network: str
    form: str
    program: Program
    tflite: bytes | None
    x: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.network}, {self.form}"


def cases(folder: Path = MODELS) -> Iterator[Case]:
    """Return every network in every form; float32 first, then int8."""
    if (folder / "models").is_dir():
        models = folder / "models"
        keywords = np.load(folder / "data" / "kws_dev.npz")["x"]
        images = np.load(folder / "data" / "cifar10_dev.npz")["x_train"][:SAMPLES].astype(np.float32)
        spectra = np.random.default_rng(0).normal(0, 1, (SAMPLES, 640)).astype(np.float32)
        yield from _with_files("KWS", models, ("kws_float", "kws_int8", "kws.h5"), keywords[:SAMPLES])
        yield from _with_files("ResNet-8", models, ("resnet8_float", "resnet8_int8", "resnet8.h5"), images)
        yield from _with_files("AD", models, ("ad01_fp32", "ad01_int8", "ad01.h5"), spectra)
    else:
        pixels = np.load(DEMO / "fashion_mnist_slice.npz")["calibration"][:SAMPLES] / np.float32(255)
        yield from _both("Fashion-MNIST", edgebn.load(DEMO / "fashion_mnist.keras"), pixels)
    yield from generated()


def generated(size: int = SIZE) -> Iterator[Case]:
    """Return the MobileNet stack for images of `size` x `size`."""
    pixels = np.random.default_rng(1).normal(0, 1, (SAMPLES // 5, size, size, 3)).astype(np.float32)
    yield from _both(f"MobileNet {size}x{size}", mobilenet(size=size), pixels)


def _with_files(network: str, models: Path, names: tuple[str, str, str], calibration: np.ndarray) -> Iterator[Case]:
    """`calibration` is real values, or codes of the int8 file's input."""
    paths = [models / f"{name}.tflite" for name in names[:2]]
    floats, given = (edgebn.load(path) for path in paths)
    if calibration.dtype == np.int8:
        entry = given.buffers[given.inputs[0]]
        calibration = np.float32(entry.scale) * (calibration.astype(np.float32) - entry.zero_point)
    yield Case(network, FLOAT32, floats, paths[0].read_bytes(), calibration[:1])
    yield Case(network, INT8_FILE, given, paths[1].read_bytes(), codes(given, calibration[:1]))
    yield _quantized(network, edgebn.load(models / names[2]), calibration)


def _both(network: str, floats: Program, calibration: np.ndarray) -> Iterator[Case]:
    yield Case(network, FLOAT32, floats, tflite_of(floats), calibration[:1])
    yield _quantized(network, floats, calibration)


def _quantized(network: str, floats: Program, calibration: np.ndarray) -> Case:
    program = edgebn.quantize(floats, calibration)
    return Case(network, INT8, program, tflite_of(program), codes(program, calibration[:1]))


def codes(program: Program, x: np.ndarray) -> np.ndarray:
    entry = program.buffers[program.inputs[0]]
    return np.clip(np.rint(x / np.float32(entry.scale)) + entry.zero_point, -128, 127).astype(np.int8)
