"""Times every step of a network alone, and says which share of the core's peak each reaches.

    python -m benchmarks.session.layers [--rounds 100] [--json layers.json] [models...]

A step's rows of the operation table are run again and again, as a table of their own, beside an empty table whose time is
taken off; the peak (`peak.py`), measured between the rounds, is the highest seen. Caches are warm: in a network a step may find its
weights colder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.kernels import peak
from benchmarks.places import models_folder
from edgebn.kernels import executor
from edgebn.program import Program
from edgebn.session.tables import Packed

MODELS_AT = models_folder() / "models"
MODELS = ("kws_int8", "resnet8_int8", "ad01_int8")
SAMPLE_US = 100  # of a step again and again in one call: long beside the clock's grain, short beside the scheduler's slice


@dataclass(frozen=True)
class StepTime:
    """One step, or one crossing between the user's arrays and the arena.

    Attributes
    ----------
    name : str
    operations : int
        Rows of the operation table.
    macs : int
    microseconds : float
        Median.
    share : float
        Of the peak; 0 for what multiplies nothing.
    """

    name: str
    operations: int
    macs: int
    microseconds: float
    share: float


CODES = {1: np.int8, 2: np.int16}  # by their bytes; anything else is taken for float32


def step_times(program: Program, rounds: int) -> tuple[list[StepTime], float]:
    """Return the time of each step of one inference on codes or real values, and the peak in 10**9 MACs a second."""
    packed = Packed(program)
    table = packed.real if program.dtype == "float32" else packed.codes
    arrays = bind(program, table)
    run = executor.executor(program.dtype)
    groups = [(name, [i for i, _ in rows]) for name, rows in groupby(enumerate(table.owners), key=lambda row: row[1])]
    ends = [(rows[0], rows[-1] + 1) for _, rows in groups] + [(0, 0)]
    tables = [(table.words[:begin].copy(), table.words[begin:end].copy()) for begin, end in ends]
    nothing = np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64)
    calls = [tuple(executor.call(words, *nothing) for words in pair) for pair in tables]
    repeats = [1] * len(calls)
    samples: list[list[float]] = [[] for _ in calls]
    peaks = []
    for turn in range(rounds + 1):
        peaks.append(peak.gigamacs(program.dtype))
        for index, (before, step) in enumerate(calls):
            run(before.ctypes.data, 1, 0)  # the arena holds what the step finds there in a network
            for _ in range(3):
                run(step.ctypes.data, 1, 0)  # the first calls after a long one are late, whatever they do
            begin = time.perf_counter_ns()
            run(step.ctypes.data, repeats[index], 0)
            spent = (time.perf_counter_ns() - begin) / 1e3 / repeats[index]
            if turn:
                samples[index].append(spent)
            else:  # the first turn finds how many repetitions a sample takes
                repeats[index] = max(1, int(SAMPLE_US / max(spent, 0.1)))
    del arrays
    most = max(peaks)
    empty = statistics.median(samples.pop())
    macs: dict[str, int] = {}
    for record in program.records:
        macs[record.step] = macs.get(record.step, 0) + record.macs
    result = []
    for (name, rows), found in zip(groups, samples, strict=True):
        spent = max(statistics.median(found) - empty, 1e-3)
        mine = macs.get(name, 0)
        result.append(StepTime(name, len(rows), mine, spent, mine / spent / 1e3 / most if most else 0.0))
    return result, most


def bind(program: Program, table: object) -> list[np.ndarray]:
    """Write the addresses of new arrays into the table's crossings; return the arrays, which must outlive its use."""
    rng = np.random.default_rng(0)
    arrays = []
    for (row, column, _, size), name in zip(table.patches, (*table.inputs, *table.outputs), strict=True):
        shape = program.shapes[name]
        kind = CODES.get(size // int(np.prod(shape)))
        numbers = rng.standard_normal(shape).astype(np.float32)
        arrays.append(numbers if kind is None else rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape).astype(kind))
        assert arrays[-1].nbytes == size
        table.words[row, column] = arrays[-1].ctypes.data
    return arrays


def report(name: str, times: list[StepTime], most: float) -> None:
    """Print one network's table."""
    total = sum(step.microseconds for step in times)
    print(f"{name}: {total:.2f} us in {len(times)} steps; peak {most:.0f} GMAC/s")
    for step in times:
        rate = f"{step.macs / step.microseconds / 1e3:8.1f} GMAC/s {100 * step.share:6.1f} %" if step.macs else ""
        print(f"  {step.name[-48:]:48} {step.operations:3d} rows {step.microseconds:8.2f} us {rate}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    for path in options.models or [MODELS_AT / f"{name}.tflite" for name in MODELS]:
        times, most = step_times(edgebn.load(path), options.rounds)
        report(path.stem, times, most)
        results[path.stem] = {"peak_gmacs": most, "steps": [vars(step) for step in times]}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
