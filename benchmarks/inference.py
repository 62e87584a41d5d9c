"""Times one inference on one thread: edgebn, LiteRT (XNNPACK), onnxruntime and ncnn, interleaved in one process.

    python -m benchmarks.inference [--rounds 20]

Interleaving makes the ratios hold while the machine's clock drifts. The time of edgebn includes `Session.run`; peers are called as
directly as their Python packages allow, with nothing to copy. Before anything is timed, every peer's result is compared with ours.
A peer that is not installed, or for which a network cannot be written, is a dash.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

import edgebn
from benchmarks.models.networks import Case, cases
from benchmarks.peers.engines import Runner, open_litert, open_ncnn, open_onnxruntime

CALLS = 50  # in a row, before the next engine's turn
SETTLE_SECONDS, UNCOUNTED_CALLS = 0.1, 3  # before a turn of several threads
# How far a peer's result may be from ours: the root mean square difference over ours. Peers round int8 values otherwise than
# TensorFlow Lite Micro, whose bytes ours are, and a network amplifies single steps.
TOLERANCE = {"float32": 1e-4, "int8": 0.2}
ENGINES = ("edgebn", "LiteRT", "onnxruntime", "ncnn")


class DisagreementError(Exception):
    """An engine computes something else: its time would mean nothing."""


@dataclass(frozen=True)
class Times:
    """Microseconds of one inference."""

    median: float
    minimum: float


def ours(case: Case, threads: int = 1) -> Runner:
    """Return edgebn as the peers are given."""
    session = edgebn.Session(case.program, threads=threads)
    out = np.empty((1, *case.program.shapes[case.program.outputs[0]]), case.x.dtype)
    return Runner(lambda: session.run(case.x, out), out.ravel)


def open_all(case: Case) -> dict[str, Runner]:
    """Return every engine that there is, each with the case's network and input in it, after comparing what they compute.

    Raises
    ------
    DisagreementError
        A peer's result is not ours.
    """
    makers: dict[str, Callable[[], Runner | None]] = {
        "edgebn": lambda: ours(case),
        "LiteRT": lambda: open_litert(case.tflite, case.x),
        "onnxruntime": lambda: open_onnxruntime(case.program, case.x),
        "ncnn": lambda: open_ncnn(case.program, case.x),
    }
    runners = {engine: runner for engine, make in makers.items() if (runner := make()) is not None}
    for engine, runner in runners.items():
        runner.run()
        apart = difference(case, runners["edgebn"].output(), runner.output())
        if apart > TOLERANCE[case.program.dtype]:
            raise DisagreementError(f"{case.name}: {engine} gives another result than edgebn, {apart:.2g} of its size away")
    return runners


def difference(case: Case, expected: np.ndarray, found: np.ndarray) -> float:
    """Return the root mean square difference of two results over the size of the first; codes count from their zero point."""
    zero_point = case.program.buffers[case.program.outputs[0]].zero_point if expected.dtype == np.int8 else 0
    size = np.sqrt(np.mean((expected.astype(np.float64) - zero_point) ** 2))
    return float(np.sqrt(np.mean((expected.astype(np.float64) - found) ** 2)) / max(size, 1e-9))


def interleave(
    runners: dict[str, Runner],
    rounds: int,
    calls: int = CALLS,
    clock: Callable[[], int] = time.perf_counter_ns,
    threads: int = 1,
) -> dict[str, Times]:
    """Time every engine in turn, `calls` inferences at once; `clock` says nanoseconds."""
    samples: dict[str, list[int]] = {engine: [] for engine in runners}
    for turn in range(rounds + 1):
        for engine, runner in runners.items():
            if threads > 1:
                settle(runner)
            found = _times(runner.run, calls, clock)
            samples[engine] += found if turn else []  # the first turn warms up
    return {engine: Times(statistics.median(found) / 1e3, min(found) / 1e3) for engine, found in samples.items()}


def settle(runner: Runner) -> None:
    """Let an engine with several threads begin its turn as if it were alone.

    The threads of the engine before look for work for a while (onnxruntime's for 40 ms), on the cores that this one's want; and its
    own must wake up.
    """
    time.sleep(SETTLE_SECONDS)
    for _ in range(UNCOUNTED_CALLS):
        runner.run()


def _times(run: Callable[[], object], calls: int, clock: Callable[[], int]) -> list[int]:
    """Return the nanoseconds of each of `calls` calls."""
    found = []
    for _ in range(calls):
        begin = clock()
        run()
        found.append(clock() - begin)
    return found


def measure(wanted: Iterable[Case], rounds: int) -> dict[str, dict[str, Times]]:
    """Return the times of every case by its name, printing each row as it comes."""
    print(
        f"{'microseconds: median (minimum)':38}"
        + "".join(f"{engine:>20}" for engine in ENGINES)
        + f"{'LiteRT / edgebn':>18}  winner"
    )
    results = {}
    for case in wanted:
        row = interleave(open_all(case), rounds)
        results[case.name] = row
        cells = [f"{row[engine].median:.1f} ({row[engine].minimum:.1f})" if engine in row else "-" for engine in ENGINES]
        ratio = f"{row['LiteRT'].median / row['edgebn'].median:.2f}" if "LiteRT" in row else "-"
        winner = min(row, key=lambda engine: row[engine].median)
        print(f"{case.name:38}" + "".join(f"{cell:>20}" for cell in cells) + f"{ratio:>18}  {winner}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    measure(cases(), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
