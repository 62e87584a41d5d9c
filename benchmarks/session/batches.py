"""Times batches: one thread, several threads by rows and by samples, and LiteRT's several threads, turn by turn.

    python -m benchmarks.session.batches [--networks NAME ...] [--samples 8 64] [--threads 2] [--rounds 8] [--json FILE]

The networks are those of MLPerf Tiny (as `benchmarks.inference`) and, by name, of `architectures.py`. LiteRT is given the whole
batch as one tensor, or where the file's shapes do not allow that ('-') nothing. In brackets: what one thread takes over it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import inference
from benchmarks.models.architectures import NETWORKS, case
from benchmarks.models.networks import Case, cases
from benchmarks.peers.engines import Runner, open_litert
from edgebn.kernels import executor
from edgebn.session.options import Options
from edgebn.session.tables import Packed
from edgebn.session.workers import Workers

CALLS = 5
WAYS = ("one thread", "by rows", "by samples", "LiteRT")


def ours(case: Case, x: np.ndarray, threads: int, *, side_by_side: bool) -> Runner:
    """Return what takes the batch `x` one way, whatever a session would choose."""
    packed = Packed(case.program, Options(threads=threads))
    execute, as_codes = executor.executor(case.program.executor_dtype), x.dtype == np.int8
    out = np.empty((len(x), *case.program.shapes[case.program.outputs[0]]), x.dtype)
    arrays = (x, out)
    workers = Workers(execute, threads - 1)

    def run() -> None:
        table = packed.codes if as_codes else packed.real
        if side_by_side:
            workers.run_side_by_side(packed.side_by_side(threads, as_codes=as_codes), arrays, len(x))
        elif table.tasks is not None:
            workers.run(table, arrays, len(x))
        else:
            alive = table.bind(arrays)
            execute(table.call, len(x), 0)
            del alive

    return Runner(run, out.ravel)


def race(found: Case, samples: int, threads: int, rounds: int) -> dict[str, float]:
    """Return the microseconds a sample of each way.

    Raises
    ------
    DisagreementError
        Our ways give different bytes.
    """
    x = np.concatenate([found.x] * samples)
    makers: dict[str, Callable[[], Runner | None]] = {
        "one thread": lambda: ours(found, x, 1, side_by_side=False),
        "by rows": lambda: ours(found, x, threads, side_by_side=False),
        "by samples": lambda: ours(found, x, threads, side_by_side=True),
        "LiteRT": lambda: open_litert(found.tflite, x, threads),
    }
    runners = {way: runner for way, make in makers.items() if (runner := make()) is not None}
    for runner in runners.values():
        runner.run()
    if len({runners[way].output().tobytes() for way in WAYS[:3]}) > 1:
        raise inference.DisagreementError(f"{found.name}: threads give other bytes than one")
    times = inference.interleave(runners, rounds, CALLS, threads=threads)
    return {way: taken.median / samples for way, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=[], choices=list(NETWORKS))
    parser.add_argument("--samples", type=int, nargs="*", default=[8, 64])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    print(f"{'microseconds a sample (gain)':40}{'samples':>8}" + "".join(f"{way:>20}" for way in WAYS))
    for found in (*cases(), *(case(name, dtype) for name in options.networks for dtype in ("float32", "int8"))):
        for samples in options.samples:
            row = race(found, samples, options.threads, options.rounds)
            cells = [f"{row[way]:.1f} ({row['one thread'] / row[way]:.2f})" if way in row else "-" for way in WAYS]
            print(f"{found.name:40}{samples:>8}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
            results[f"{found.name}, {samples} samples"] = row
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
