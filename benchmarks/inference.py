"""Times one inference on one thread: edgebn, LiteRT (XNNPACK) and onnxruntime, interleaved in one process.

    python benchmarks/inference.py [--rounds 20] [--json results.json] [models...]

Without models: the MLPerf Tiny networks of ../shared/models. Interleaving makes the ratios hold while
the machine's clock drifts. The
time of edgebn includes `Session.run`; that of LiteRT is `invoke` alone. A peer that is not installed is a dash.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import edgebn

SHARED = Path(__file__).resolve().parents[2] / "shared" / "models"
MODELS = ("kws_int8", "resnet8_int8", "ad01_int8", "kws_float", "resnet8_float", "ad01_fp32")
CALLS = 100  # in a row, before the next engine's turn

Run = Callable[[], object]


def ours(path: Path) -> Run:
    program = edgebn.load(path)
    session = edgebn.Session(program)
    x = sample((1, *program.shapes[program.inputs[0]]), program.dtype)
    out = np.empty((1, *program.shapes[program.outputs[0]]), x.dtype)
    return lambda: session.run(x, out)


def sample(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, shape).astype(np.int8) if dtype == "int8" else rng.standard_normal(shape).astype(np.float32)


def litert(path: Path) -> Run | None:
    if path.suffix != ".tflite":
        return None
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    interpreter.set_tensor(entry["index"], sample(tuple(entry["shape"]), np.dtype(entry["dtype"]).name))
    return interpreter.invoke


def onnxruntime(path: Path) -> Run | None:
    if path.suffix != ".onnx":
        return None
    try:
        import onnxruntime as ort
    except ImportError:
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options)
    entry = session.get_inputs()[0]
    shape = tuple(size if isinstance(size, int) else 1 for size in entry.shape)
    feed = {entry.name: sample(shape, "float32")}
    return lambda: session.run(None, feed)


ENGINES = {"edgebn": ours, "litert": litert, "onnxruntime": onnxruntime}


def times(run: Run) -> list[float]:
    """Return the microseconds of each of `CALLS` calls."""
    found = []
    for _ in range(CALLS):
        begin = time.perf_counter_ns()
        run()
        found.append((time.perf_counter_ns() - begin) / 1e3)
    return found


def measure(path: Path, rounds: int) -> dict[str, dict[str, float] | None]:
    runs = {name: make(path) for name, make in ENGINES.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            if run is not None:
                found = times(run)
                samples[name] += found if turn else []  # the first turn warms up
    return {
        name: {"median_us": statistics.median(found), "minimum_us": min(found)} if found else None
        for name, found in samples.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = options.models or [SHARED / f"{name}.tflite" for name in MODELS]
    results = {path.stem: measure(path, options.rounds) for path in paths}
    print(f"{'median / minimum, microseconds':32}" + "".join(f"{name:>18}" for name in ENGINES) + f"{'litert / edgebn':>18}")
    for model, row in results.items():
        cells = [f"{cell['median_us']:.1f} / {cell['minimum_us']:.1f}" if cell else "-" for cell in row.values()]
        ours_, peer = row["edgebn"], row["litert"]
        ratio = f"{peer['median_us'] / ours_['median_us']:.2f}" if ours_ and peer else "-"
        print(f"{model:32}" + "".join(f"{cell:>18}" for cell in cells) + f"{ratio:>18}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
