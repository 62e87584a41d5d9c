"""Times every model file of a folder beside the runtime that the file is made for, with one thread and with two, and says who wins.

    python -m benchmarks.files FOLDER [--rounds 10] [--threads 1 2] [--cpu-time] [--input-shape FILE=H,W,C ...] [--json files.json]

`.tflite` files run in LiteRT, `.onnx` files in onnxruntime; others have no peer here. Inputs are random numbers of the file's
types, and of the shape that --input-shape gives where the file leaves it open. What a file's runtime or edgebn refuses is a line
that says so.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import edgebn
from benchmarks import inference
from benchmarks.larger import Clock, Race, add_clock_option, as_json, calls_of_a_turn, clock_of, head, line, who_wins
from benchmarks.peers.engines import Runner
from edgebn.cli import values

KINDS = {".tflite": "LiteRT", ".onnx": "onnxruntime", ".keras": "", ".h5": "", ".pt2": "", ".edgebn": ""}


def ours(program: Any, threads: int) -> Runner:
    """Return a session with random inputs: codes where the program takes them."""
    rng = np.random.default_rng(0)
    codes = all(program.buffers[name].dtype == "int8" for name in program.inputs)
    x = {}
    for name in program.inputs:
        shape = (1, *program.shapes[name])
        x[name] = rng.integers(-128, 128, shape).astype(np.int8) if codes else rng.random(shape, np.float32)
    given: Any = x if len(x) > 1 else next(iter(x.values()))
    session = edgebn.Session(program, threads=threads)
    return Runner(lambda: session.run(given), lambda: np.zeros(0))


Shape = tuple[int, ...] | None  # of a sample, in the file's own layout, where the file leaves it open


def litert(path: Path, threads: int, shape: Shape = None) -> Runner:
    """Return LiteRT with a file and random inputs."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    if shape:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, *shape))
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], _random(tuple(entry["shape"]), np.dtype(entry["dtype"])))
    return Runner(interpreter.invoke, lambda: np.zeros(0))


def onnxruntime(path: Path, threads: int, shape: Shape = None) -> Runner:
    """Return onnxruntime with a file and random inputs; axes that the file and `shape` leave open are 1."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
    binding = session.io_binding()
    for entry in session.get_inputs():
        sizes = (1, *shape) if shape else (1,) * len(entry.shape)
        known = tuple(size if isinstance(size, int) and size > 0 else given for size, given in zip(entry.shape, sizes, strict=True))
        array = _random(known, np.dtype(types.get(entry.type, np.float32)))
        binding.bind_ortvalue_input(entry.name, ort.OrtValue.ortvalue_from_numpy(array))
    for exit_ in session.get_outputs():
        binding.bind_output(exit_.name)
    return Runner(lambda: session.run_with_iobinding(binding), lambda: np.zeros(0))


def _random(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(max(limits.min, -128), min(limits.max, 255) + 1, shape).astype(dtype)


PEERS = {"LiteRT": litert, "onnxruntime": onnxruntime}


def race(path: Path, threads: int, rounds: int, shape: Shape = None, clock: Clock = time.perf_counter_ns) -> Race:
    """Time a file in edgebn and in its own runtime."""
    options: dict[str, Any] = {"input_shape": shape} if shape else {}
    runners = {"edgebn": ours(edgebn.load(path, **options), threads)}
    peer = KINDS[path.suffix]
    if peer:
        runners[peer] = PEERS[peer](path, threads, shape)
    times = inference.interleave(runners, rounds, calls_of_a_turn(runners), clock, threads)
    return Race(path.name, threads, times, dict.fromkeys(runners, 0.0))


def measure(
    paths: list[Path],
    threads: list[int],
    rounds: int,
    shapes: dict[str, tuple[int, ...]] | None = None,
    clock: Clock = time.perf_counter_ns,
) -> tuple[list[Race], dict[str, str]]:
    """Return the races, and why there is none of a file; print a line for each, and how many are won; `shapes` by files' names."""
    races: list[Race] = []
    refused: dict[str, str] = {}
    print(head("microseconds: median (minimum)"))
    for path in paths:
        try:
            for count in threads:
                races.append(race(path, count, rounds, (shapes or {}).get(path.name), clock))
                print(line(races[-1], 0.0), flush=True)
        except Exception as error:  # noqa: BLE001  # whatever any runtime says of a file is its line
            refused[path.name] = " ".join(str(error).split())
            print(f"{path.name[-38:]:38} {refused[path.name][:120]}", flush=True)
    for count in threads:
        if any(found.best_peer for found in races if found.threads == count):
            print(f"{count} thread(s): {who_wins([found for found in races if found.threads == count])}")
    return races, refused


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse FILE=96,96,3."""
    name, _, sizes = text.rpartition("=")
    return name, values.shape(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--input-shape",
        type=named_shape,
        action="append",
        default=[],
        metavar="FILE=H,W,C",
        help="one sample's shape in a file's own layout, where it leaves it open; again for several files",
    )
    parser.add_argument("--json", type=Path)
    add_clock_option(parser)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix in KINDS)
    if not paths:
        parser.error(f"{options.folder}: no folder with model files in it ({', '.join(KINDS)})")
    races, refused = measure(paths, options.threads, options.rounds, dict(options.input_shape), clock_of(parser, options))
    if options.json:
        text = json.dumps({"races": as_json(races), "refused": refused}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
