"""Says what an inference would take on 1, 2, 4 and 8 cores, from the measured times of its single tasks.

    python -m benchmarks.critical_path [--rounds 20] [--json path.json] [--networks NAME ...] [models...]

Each task of a session's shared table (`session/bands.py`) is timed alone on one core. Then the tasks are scheduled as threads take
them (`kernels/team.py`): phase after phase, each free core the next task of its own part or the last of all, with what it costs to
hand a phase over, measured between two threads of this machine. So four cores can be argued about on a machine with two. Left out
is what cores share, the third-level cache and memory, and that one core reads what another made.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebn
from benchmarks.architectures import NETWORKS, case
from benchmarks.layers import bind
from edgebn.kernels import executor
from edgebn.kernels.records import HELP, MASK_BITS, TEAM_PRESENT, TEAM_STATE, TEAM_THREADS, TEAM_WORDS
from edgebn.program import Program
from edgebn.session.options import Options
from edgebn.session.tables import Packed

CORES = (1, 2, 4, 8)
SAMPLE_US = 30  # of a task again and again in one call


@dataclass(frozen=True)
class Prediction:
    """Microseconds on so many cores: as scheduled, and if all work were split evenly and for nothing."""

    cores: int
    microseconds: float
    phases: int
    tasks: int


def handing_over(phases: int = 4000, rounds: int = 30) -> float:
    """Return the microseconds of a phase of two tasks that do nothing, shared by two threads: the median of `rounds` measurements.

    On a machine that is not quiet, where the second thread does not run meanwhile, there is nothing to measure.
    """
    width = executor.table_width()
    table = np.zeros((2 * phases, width), np.int64)
    nothing = executor.row(executor.operations()["point_words"], dst=0, places=0, count=0)
    table[:, : len(nothing)] = nothing
    team = np.zeros(TEAM_WORDS + 8, np.int64)[-TEAM_WORDS:]
    team[TEAM_THREADS], team[TEAM_STATE] = 2, phases << MASK_BITS
    ends = np.array([[2 * i, 2] for i in range(phases)], np.int64)
    tasks = np.array([[i, i + 1] for i in range(2 * phases)], np.int64)
    call = executor.call(table, np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64), shared=(team, ends, tasks))
    run = executor.executor("float32")
    found = []
    for _ in range(rounds):
        helper = threading.Thread(target=run, args=(call.ctypes.data, HELP, 1, 0))
        helper.start()
        while team[TEAM_PRESENT] == 0 and helper.is_alive():
            time.sleep(1e-5)
        begin = time.perf_counter()
        run(call.ctypes.data, 1, 0, 0)
        found.append((time.perf_counter() - begin) * 1e6 / phases)
        helper.join()
    return statistics.median(found)


def task_times(program: Program, threads: int, rounds: int) -> list[list[float]]:
    """Return the least microseconds of every task, phase by phase, of the table that `threads` threads share."""
    packed = Packed(program, Options(threads=threads))
    table = packed.raw if program.dtype == "int8" else packed.real
    arrays = bind(program, table)
    run = executor.executor(program.dtype)
    if table.tasks is None:
        rows = np.arange(len(table.words))
        phases, tasks = np.stack([rows, np.ones_like(rows)], axis=1), np.stack([rows, rows + 1], axis=1)
    else:
        phases, tasks = table.tasks
    nothing = np.zeros((0, 4), np.int64), np.zeros((0, 2), np.int64)
    calls = [executor.call(table.words[first:end], *nothing) for first, end in tasks]
    whole = executor.call(table.words, *nothing)
    repeats = [1] * len(calls)
    samples: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        run(whole.ctypes.data, 1, 0, 0)  # the arena holds what a task finds there in a network
        for index, call in enumerate(calls):
            begin = time.perf_counter_ns()
            run(call.ctypes.data, repeats[index], 0, 0)
            spent = (time.perf_counter_ns() - begin) / 1e3 / repeats[index]
            if turn:
                samples[index].append(spent)
            else:
                repeats[index] = max(1, int(SAMPLE_US / max(spent, 0.1)))
    del arrays
    least = [min(found) for found in samples]
    return [least[first : first + count] for first, count in phases]


def scheduled(phases: list[list[float]], cores: int, handing: float) -> float:
    """Return the microseconds of all phases on `cores` cores, each of which takes tasks as `kernels/team.py` lets it."""
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
    for cores in CORES:
        phases = task_times(program, cores, rounds)
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
