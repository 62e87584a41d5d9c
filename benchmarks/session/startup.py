"""Times the start: from a new process to the first result, and the memory that it took (highest resident size).

    python -m benchmarks.session.startup [--rounds 10]

Every way to run the same network starts in turn. edgebn starts from a copy of the package as wheels have it, with kernels compiled
ahead of time and sealed, from its own file and from the TensorFlow Lite file; and from the checkout with what Numba compiled
earlier and kept. The clocks stop when the child has its first result, not when it has ended: that of the wall, and that of the
processor, which says more on a busy machine. Ratios are medians over rounds, each to LiteRT's start of the same round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import edgebn
from benchmarks.models.networks import INT8, INT8_FILE, Case, cases
from benchmarks.peers.plain import NotExportedError, plain
from edgebn.kernels import isa, native

ROOT = Path(__file__).resolve().parents[2]
# What each child runs: its argument is the network's file. It says so when it has the first result, and waits to be measured.
CHILDREN = {
    "edgebn": """
import sys, numpy as np, edgebn
program = edgebn.load(sys.argv[1])
session = edgebn.Session(program)
result = session.run(np.zeros((1, *program.shapes[program.inputs[0]]), program.dtype))
""",
    "LiteRT": """
import sys, numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
entry = interpreter.get_input_details()[0]
interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
interpreter.invoke()
result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
""",
    "onnxruntime": """
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0]
result = session.run(None, {entry.name: np.zeros(entry.shape, np.uint8)})
""",
}
DONE = "\nimport time\nprint('done', time.process_time(), flush=True)\nsys.stdin.read()\n"


@dataclass(frozen=True)
class Start:
    """To the first result: seconds, of the processor too, and resident megabytes (10**6 bytes); medians, and ratios to LiteRT's."""

    median: float
    minimum: float
    processor: float
    resident: float
    ratio: float | None
    processor_ratio: float | None


@dataclass(frozen=True)
class Way:
    """One way to start: whose script, with which file, where (a folder that Python imports from), and in which environment."""

    engine: str
    file: Path
    place: Path
    environment: Mapping[str, str]


def measure(case: Case, rounds: int) -> dict[str, Start]:
    """Return every engine's start with one network, printing each row."""
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(case, Path(folder))
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                start = _start(way)
                found[name] += [start] if turn else []  # the first turn fills the caches
    starts = {}
    columns = "".join(f"{title:>12}" for title in ("processor", "resident", "of LiteRT", "processor"))
    print(f"{'first result: ' + case.name:46}{'seconds (minimum)':>20}{columns}")
    for name, samples in found.items():
        seconds, processor, resident = ([sample[i] for sample in samples] for i in range(3))
        start = starts[name] = Start(
            median=statistics.median(seconds),
            minimum=min(seconds),
            processor=statistics.median(processor),
            resident=statistics.median(resident),
            ratio=_ratio(samples, found.get("LiteRT"), 0),
            processor_ratio=_ratio(samples, found.get("LiteRT"), 1),
        )
        ratios = "".join(f"{'-' if one is None else f'{one:.2f} x':>12}" for one in (start.ratio, start.processor_ratio))
        times = f"{f'{start.median:.3f} ({start.minimum:.3f})':>20}{start.processor:>12.3f}"
        print(f"{name:46}{times}{f'{start.resident:.1f} MB':>12}{ratios}")
    return starts


def _ratio(samples: Sequence[tuple[float, ...]], peers: Sequence[tuple[float, ...]] | None, column: int) -> float | None:
    """Return the median of the ratios of one column, round by round."""
    if peers is None:
        return None
    return statistics.median(ours[column] / theirs[column] for ours, theirs in zip(samples, peers, strict=True))


def _installed(folder: Path) -> Path:
    """Return a folder with the package as a wheel installs it: with sealed objects, of this CPU's set at least."""
    copy = folder / "edgebn"
    shutil.copytree(ROOT / "edgebn", copy, ignore=shutil.ignore_patterns("__pycache__"))
    objects = copy / "kernels" / "objects"
    if native.load() is None:
        command = [sys.executable, "-m", "edgebn.kernels.aot", "--isa", isa.SELECTED.name, "--output", str(objects)]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    elif not objects.exists():
        shutil.copytree(native.folder(), objects)
    subprocess.run([sys.executable, "-c", "from edgebn.kernels import version; version.seal()"], cwd=folder, check=True)
    return folder


def _ways(case: Case, folder: Path) -> dict[str, Way]:
    """Return what to start, by name."""
    program = folder / "network.edgebn"
    edgebn.save(case.program, program)
    wheel = {"EDGEBN_OBJECTS": str(folder / "wheel" / "edgebn" / "kernels" / "objects")}
    place = _installed(folder / "wheel")
    ways = {
        "edgebn, kernels compiled ahead of time": Way("edgebn", program, place, wheel),
        "edgebn, kernels from Numba's cache": Way("edgebn", program, ROOT, {"EDGEBN_OBJECTS": ""}),
    }
    if case.tflite is not None and find_spec("ai_edge_litert"):
        file = folder / "network.tflite"
        file.write_bytes(case.tflite)
        ways["edgebn, the same from the .tflite file"] = Way("edgebn", file, place, wheel)
        ways["LiteRT"] = Way("LiteRT", file, place, {})
    if find_spec("onnxruntime") and find_spec("onnx"):
        from benchmarks.peers.export_onnx import onnx_bytes

        try:
            content = onnx_bytes(plain(case.program))
        except NotExportedError:
            return ways
        file = folder / "network.onnx"
        file.write_bytes(content)
        ways["onnxruntime"] = Way("onnxruntime", file, place, {})
    return ways


def _start(way: Way) -> tuple[float, float, float]:
    """Return the seconds to a child's first result, of the wall and of the processor, and its highest resident megabytes."""
    begin = time.perf_counter()
    # As installed, every engine has its bytecode at hand: a checkout may write its own in the turn that is not counted.
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILDREN[way.engine] + DONE, str(way.file)],
        cwd=way.place,
        env={**inherited, **way.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        said = child.stdout.readline()
        seconds = time.perf_counter() - begin
        if not said.startswith(b"done "):
            raise RuntimeError(f"{way.file.name} failed to start: {said!r}")
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return seconds, float(said.split()[1]), resident * 1024 / 1e6


def first_case() -> Case:
    """Return the network to start with: the first int8 one, from its file where there is one."""
    return next(case for case in cases() if case.form in {INT8_FILE, INT8})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    measure(first_case(), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
