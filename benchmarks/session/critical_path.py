"""Says what an inference would take on 1, 2, 4 and 8 cores, from the measured times of its single tasks.

    python -m benchmarks.session.critical_path [--rounds 20] [--json path.json] [--networks NAME ...] [models...]

Each task of a session's shared table (`session/bands.py`) is timed alone on one core. Then the tasks are scheduled as threads take
them (`kernels/work_sharing.py`): phase after phase, each free core the next task of its own part or the last of all, with what it
costs to hand a phase over, measured between two threads of this machine. So four cores can be argued about on a machine with two.
Phases are those that are walked: steps that do not depend on each other may share one (`session/independent.py`).
Left out is what cores share, the third-level cache and memory, and that one core reads what another made.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.models.architectures import NETWORKS, case
from benchmarks.session.layers import bind
from edgebn.kernels import executor
from edgebn.kernels.records import JOIN, MASK_BITS, SHARING_PRESENT, SHARING_STATE, SHARING_THREADS, SHARING_WORDS
from edgebn.program import Program, takes_codes
from edgebn.session.options import Options
from edgebn.session.tables import Packed

CORES = (1, 2, 4, 8)
SAMPLE_US = 30  # of a task again and again in one call
TASK_BYTES = 4096  # that a task of `handing_over` writes again and again
USUAL_HANDING_OVER = 0.6  # microseconds, on x86-64


@dataclass(frozen=True)
class Prediction:
    """Microseconds on so many cores: as scheduled, and if all work were split evenly and for nothing."""

    cores: int
    microseconds: float
    phases: int
    tasks: int


def handing_over(phases: int = 1000, rounds: int = 60) -> float:
    """Return the microseconds that a phase of two equal tasks, shared by two threads, takes beyond one of the tasks.

    The median of the rounds in which the second thread took part: on a machine that is not quiet it often does not run. Where it
    never does there is nothing to measure, and the result is `USUAL_HANDING_OVER`.
    """
    width = executor.table_width()
    table = np.zeros((2 * phases, width), np.int64)
    filled = np.zeros((2, TASK_BYTES + 128), np.uint8)
    for i in range(2):
        task = executor.row(
            executor.operations()["fill_bytes"], dst=filled[i].ctypes.data, dst_row=0, rows=16, count=TASK_BYTES, byte=1
        )
        table[i::2, : len(task)] = task
    sharing = np.zeros(SHARING_WORDS + 8, np.int64)[-SHARING_WORDS:]
    sharing[SHARING_THREADS], sharing[SHARING_STATE] = 2, phases << MASK_BITS
    ends = np.array([[2 * i, 2] for i in range(phases)], np.int64)
    tasks = np.array([[i, i + 1] for i in range(2 * phases)], np.int64)
    nothing = np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64)
    call = executor.call(table, *nothing, shared=(sharing, ends, tasks))
    alone = executor.call(table, *nothing)
    run = executor.executor("float32")

    def microseconds(call: np.ndarray) -> float:
        begin = time.perf_counter()
        run(call.ctypes.data, 1, 0)
        return (time.perf_counter() - begin) * 1e6 / phases

    one = min(microseconds(alone) for _ in range(rounds)) / 2
    found = []
    for _ in range(rounds):
        worker = threading.Thread(target=run, args=(call.ctypes.data, JOIN, 1))
        worker.start()
        while sharing[SHARING_PRESENT] == 0 and worker.is_alive():
            time.sleep(1e-5)
        found.append(microseconds(call))
        worker.join()
    shared = [spent - one for spent in found if spent < 1.9 * one]
    return max(statistics.median(shared), 0.0) if shared else USUAL_HANDING_OVER


class _Tasks:
    """The tasks of the table that some threads share, and the least time that each took.

    Parameters
    ----------
    program : Program
    threads : int
    """

    def __init__(self, program: Program, threads: int) -> None:
        self._packed = Packed(program, Options(threads=threads))
        table = self._packed.codes if takes_codes(program) else self._packed.real
        self._arrays = bind(program, table)
        if table.tasks is None:
            rows = np.arange(len(table.words))
            self.phases, tasks = np.stack([rows, np.ones_like(rows)], axis=1), np.stack([rows, rows + 1], axis=1)
        else:
            self.phases, tasks = table.tasks
        nothing = np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64)
        self._calls = [executor.call(table.words[first:end], *nothing) for first, end in tasks]
        self._whole = executor.call(table.words, *nothing)
        self._none = executor.call(table.words[:0], *nothing)
        self._run = executor.executor(program.dtype)
        self._repeats = [1] * len(tasks)
        self._least = [0.0] * len(tasks)
        self._nothing = math.inf  # microseconds of a call that does nothing
        self._turns = 0

    def measure(self) -> None:
        """Time every task once more; the first time only finds how often each must be repeated."""
        first = self._turns == 0
        self._run(self._whole.ctypes.data, 1, 0)  # the arena holds what a task finds there in a network
        for _ in range(3):
            self._time(self._none, 1)  # the first calls after it are late, whatever they do
        self._nothing = min(self._nothing, self._time(self._none, 1))
        for index, call in enumerate(self._calls):
            if first:
                self._time(call, 2)  # so that what is cold does not make the samples short
            repeats = self._repeats[index]
            spent = self._time(call, repeats)
            if first:
                self._repeats[index] = max(1, int(SAMPLE_US / max(spent, 0.1)))
            self._least[index] = spent if self._turns < 2 else min(spent, self._least[index])
        self._turns += 1

    def _time(self, call: np.ndarray, repeats: int) -> float:
        begin = time.perf_counter_ns()
        self._run(call.ctypes.data, repeats, 0)
        return (time.perf_counter_ns() - begin) / 1e3 / repeats

    def by_phase(self) -> list[list[float]]:
        """Return the times, phase by phase, without that of a call."""
        least = [max(spent - self._nothing / repeats, 0.0) for spent, repeats in zip(self._least, self._repeats, strict=True)]
        return [least[first : first + count] for first, count in self.phases]


def task_times(program: Program, threads: Sequence[int], rounds: int) -> list[list[list[float]]]:
    """Return for each number of threads the least microseconds of every task, phase by phase; rounds are interleaved."""
    found = [_Tasks(program, count) for count in threads]
    for _ in range(rounds + 1):
        for tasks in found:
            tasks.measure()
    return [tasks.by_phase() for tasks in found]


def scheduled(phases: list[list[float]], cores: int, handing: float) -> float:
    """Return the microseconds of all phases on `cores` cores, each of which takes tasks as `kernels/work_sharing.py` lets it."""
    total = 0.0
    for tasks in phases:
        if len(tasks) == 1 or cores == 1:
            total += sum(tasks)
            continue
        left = set(range(len(tasks)))
        free = [0.0] * cores
        while left:
            who = min(range(cores), key=lambda core: free[core])
            own = [task for task in left if who * len(tasks) // cores <= task < (who + 1) * len(tasks) // cores]
            task = min(own) if own else max(left)
            left.remove(task)
            free[who] += tasks[task]
        total += max(free) + handing
    return total


def predictions(program: Program, rounds: int, handing: float) -> Iterator[Prediction]:
    """Return what the program would take on each of `CORES`."""
    for cores, phases in zip(CORES, task_times(program, CORES, rounds), strict=True):
        yield Prediction(cores, scheduled(phases, cores, handing), len(phases), sum(map(len, phases)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    handing = handing_over()
    print(f"handing over a phase: {handing:.2f} us")
    programs = {path.stem: edgebn.load(path) for path in options.models}
    if not options.models:
        programs = {f"{name}, {dtype}": case(name, dtype).program for name in options.networks for dtype in ("float32", "int8")}
    results: dict[str, list[dict[str, float]]] = {}
    print(f"{'microseconds (speed-up)':32}" + "".join(f"{f'{cores} cores':>20}" for cores in CORES))
    for name, program in programs.items():
        found = list(predictions(program, options.rounds, handing))
        cells = [f"{one.microseconds:.0f} ({found[0].microseconds / one.microseconds:.2f})" for one in found]
        print(f"{name:32}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
        results[name] = [vars(one) for one in found]
    if options.json:
        text = json.dumps({"handing_over_us": handing, "predictions": results}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
