"""Times of the demo networks here, in edgebn and, of one, in those of its peers that are installed."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import api
from edgebn.doctor.recorded import DATA
from edgebn.formats import native
from edgebn.session import Session

NETWORK = DATA / "mobilenet"
PEERS_TOO = "MobileNet v1 0.25, 96 x 96 x 3, int8"
CLOTHES = Path(__file__).parent.parent / "demo_data" / "fashion_mnist.keras"  # what `edgebn demo` shows
RUNS, WARM_UP, SECONDS = 100, 5, 2.0


def times() -> dict[str, dict[str, dict[str, float]]]:
    """Return median and minimum in milliseconds by network, and engine and threads; what is missing or fails is left out."""
    program = native.load(NETWORK.with_suffix(".edgebn"))
    codes = np.random.default_rng(0).integers(-128, 128, (1, *program.shapes[program.inputs[0]])).astype(np.int8)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        session = Session(program, threads)
        runners: dict[str, Callable[[], Any] | None] = {
            "edgebn": lambda session=session: session.run(codes),  # type: ignore[misc]  # a default binds it
            "LiteRT": _litert(codes, threads),
            "onnxruntime": _onnxruntime(codes, threads),
        }
        for name, run in runners.items():
            if run is not None:
                found.setdefault(PEERS_TOO, {})[_called(name, threads)] = timed(run)
    if find_spec("h5py") is not None:  # the file is Keras'
        original = api.load(CLOTHES)
        x = np.random.default_rng(0).random((1, *original.shapes[original.inputs[0]]), np.float32)
        for demo in (original, api.quantize(original, x)):
            found[f"{CLOTHES.stem}, {demo.dtype}"] = {_called("edgebn", 1): timed(functools.partial(Session(demo).run, x))}
    return found


def _called(engine: str, threads: int) -> str:
    return f"{engine}, {threads} thread{'s' if threads > 1 else ''}"


def timed(run: Callable[[], Any]) -> dict[str, float]:
    """Return median and minimum in milliseconds, over fewer runs where they are long."""
    for _ in range(WARM_UP):
        run()
    taken: list[float] = []
    ends = time.perf_counter() + SECONDS
    while len(taken) < RUNS and (time.perf_counter() < ends or not taken):
        before = time.perf_counter_ns()
        run()
        taken.append((time.perf_counter_ns() - before) / 1e6)
    return {"median_ms": float(np.median(taken)), "minimum_ms": min(taken)}


def _litert(codes: np.ndarray, threads: int) -> Callable[[], Any] | None:
    if find_spec("ai_edge_litert") is None:
        return None
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(NETWORK.with_suffix(".tflite")), num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    run: Callable[[], Any] = interpreter.invoke
    return run


def _onnxruntime(codes: np.ndarray, threads: int) -> Callable[[], Any] | None:
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(NETWORK.with_suffix(".onnx")), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    unsigned = np.ascontiguousarray(np.moveaxis(codes.astype(np.int16) + 128, -1, 1).astype(np.uint8))
    return lambda: session.run(None, {entry.name: unsigned})
