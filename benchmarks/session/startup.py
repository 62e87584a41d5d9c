"""Times the start: from a new process to the first result, and the memory that it took (highest resident size).

    python -m benchmarks.session.startup [--rounds 10]

Every way to run the same network starts in turn. edgebn starts twice: with kernels compiled ahead of time (as wheels have them),
and with what Numba compiled earlier and kept. The clock stops when the child has its first result, not when it has ended.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
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
DONE = "\nprint('done', flush=True)\nsys.stdin.read()\n"


@dataclass(frozen=True)
class Start:
    """Seconds to the first result, and resident megabytes (10**6 bytes)."""

    median: float
    minimum: float
    resident: float


def measure(case: Case, rounds: int) -> dict[str, Start]:
    """Return every engine's start with one network, printing each row."""
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(case, Path(folder))
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, (engine, file, environment) in ways.items():
                start = _start(CHILDREN[engine], file, environment)
                found[name] += [start] if turn else []  # the first turn fills the caches
    starts = {}
    print(f"{'first result: ' + case.name:46}{'seconds (minimum)':>20}{'resident':>12}{'of LiteRT':>12}")
    for name, samples in found.items():
        seconds = [sample[0] for sample in samples]
        starts[name] = Start(statistics.median(seconds), min(seconds), statistics.median(sample[1] for sample in samples))
    for name, start in starts.items():
        ratio = f"{start.median / starts['LiteRT'].median:.2f} x" if "LiteRT" in starts else "-"
        print(f"{name:46}{f'{start.median:.3f} ({start.minimum:.3f})':>20}{f'{start.resident:.1f} MB':>12}{ratio:>12}")
    return starts


def _ways(case: Case, folder: Path) -> dict[str, tuple[str, Path, Mapping[str, str]]]:
    """Return what to start: name to engine, file and environment; builds objects for this CPU if the checkout has none."""
    program = folder / "network.edgebn"
    edgebn.save(case.program, program)
    objects = native.folder()
    if native.load() is None:
        objects = folder / "objects"
        command = [sys.executable, "-m", "edgebn.kernels.aot", "--isa", isa.SELECTED.name, "--output", str(objects)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    ways = {
        "edgebn, kernels compiled ahead of time": ("edgebn", program, {"EDGEBN_OBJECTS": str(objects)}),
        "edgebn, kernels from Numba's cache": ("edgebn", program, {"EDGEBN_OBJECTS": ""}),
    }
    if case.tflite is not None and find_spec("ai_edge_litert"):
        file = folder / "network.tflite"
        file.write_bytes(case.tflite)
        ways["LiteRT"] = ("LiteRT", file, {})
    if find_spec("onnxruntime") and find_spec("onnx"):
        from benchmarks.peers.export_onnx import onnx_bytes

        try:
            content = onnx_bytes(plain(case.program))
        except NotExportedError:
            return ways
        file = folder / "network.onnx"
        file.write_bytes(content)
        ways["onnxruntime"] = ("onnxruntime", file, {})
    return ways


def _start(script: str, file: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Return the seconds to a child's first result and its highest resident size so far in megabytes."""
    begin = time.perf_counter()
    # As installed, every engine has its bytecode at hand: a checkout may write its own in the turn that is not counted.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(
        [sys.executable, "-c", script + DONE, str(file)],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        said = child.stdout.readline()
        seconds = time.perf_counter() - begin
        if said != b"done\n":
            raise RuntimeError(f"{file.name} failed to start: {said!r}")
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return seconds, resident * 1024 / 1e6


def first_case() -> Case:
    """Return the network to start with: the first int8 one, from its file where there is one."""
    return next(case for case in cases() if case.form in {INT8_FILE, INT8})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    measure(first_case(), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
