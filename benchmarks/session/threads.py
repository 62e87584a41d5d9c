"""Times inferences with one thread and with several, ours and LiteRT's, turn by turn, and says what the threads gain.

    python -m benchmarks.session.threads [--networks NAME ...] [--threads 2] [--rounds 12] [--cores 1.9] [--busy 2] [--json FILE]

A turn is nearly half a second of one engine with one number of threads; before it nothing is done until the threads of the turn
before sleep, and its first calls do not count. A round's gain is its own one thread's time over its several threads'; the table has
the median of rounds, so that a minute in which the machine was busy counts for both. Beside the medians stand the means, which
single calls that were held up change.

What the machine's cores give at that moment is measured too, in every round: as many sessions of one thread each, side by side,
against one alone. On a shared machine that is often less than the number of cores; --cores leaves out rounds in which it is less.

--busy starts other processes that keep cores busy: what matters then is that no gain is below 0.91, a tenth of one thread's time.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import inference
from benchmarks.larger import busy
from benchmarks.models.architectures import NETWORKS, case
from benchmarks.peers.engines import Runner, open_litert

TURN_SECONDS = 0.4
LONGEST = 4  # times as many rounds are tried as are wanted, where cores give too little


@dataclass(frozen=True)
class Gain:
    """What several threads gain an engine.

    Attributes
    ----------
    alone, shared : float
        Microseconds of an inference with one thread and with several, medians of all calls.
    gain : float
        The first over the second: the median of the rounds.
    mean_gain : float
        The same of the means.
    """

    alone: float
    shared: float
    gain: float
    mean_gain: float


def turn(runner: Runner) -> np.ndarray:
    """Return the microseconds of each call of a turn."""
    inference.settle(runner)
    found = []
    end = time.perf_counter() + TURN_SECONDS
    while (begun := time.perf_counter()) < end:
        runner.run()
        found.append(1e6 * (time.perf_counter() - begun))
    return np.array(found)


def side_by_side(runners: list[Runner]) -> np.ndarray:
    """Return the microseconds of each call where every session runs in a thread of its own."""
    found: list[np.ndarray] = []
    others = [threading.Thread(target=lambda runner=runner: found.append(turn(runner))) for runner in runners]
    for other in others:
        other.start()
    for other in others:
        other.join()
    return np.concatenate(found)


def race(name: str, dtype: str, threads: int, rounds: int, cores: float) -> tuple[float, dict[str, Gain]]:
    """Return what cores gave, and what several threads gain each engine in a network: in rounds in which cores gave enough.

    Raises
    ------
    DisagreementError
        Our results with one thread and with several are not the same bytes.
    """
    found = case(name, dtype)
    ours = [inference.ours(found, count) for count in (1, threads)]
    runners = {"edgebn": ours, "LiteRT": [open_litert(found.tflite, found.x, count) for count in (1, threads)]}
    there = {engine: [runner for runner in pair if runner is not None] for engine, pair in runners.items()}
    for runner in ours:
        runner.run()
    if ours[0].output().tobytes() != ours[1].output().tobytes():
        raise inference.DisagreementError(f"{found.name}: {threads} threads give other bytes than one")
    many = [ours[0], *(inference.ours(found, 1) for _ in range(threads - 1))]
    times: dict[str, list[list[np.ndarray]]] = {engine: [[], []] for engine, pair in there.items() if len(pair) == len(ours)}
    given: list[float] = []
    tried = 0
    while len(given) < rounds and tried < LONGEST * rounds:
        tried += 1
        taken = {engine: [turn(runner) for runner in there[engine]] for engine in times}
        given_now = threads * float(np.median(taken["edgebn"][0]) / np.median(side_by_side(many)))
        if given_now < cores:
            continue
        given.append(given_now)
        for engine, both in taken.items():
            for turns, one in zip(times[engine], both, strict=True):
                turns.append(one)
    return float(np.median(given or [0])), {engine: gain(*both) for engine, both in times.items() if both[0]}


def gain(alone: list[np.ndarray], shared: list[np.ndarray]) -> Gain:
    """Return the gain of turns with one thread and with several, round by round."""
    rounds = list(zip(alone, shared, strict=True))
    medians = float(np.median([np.median(one) / np.median(several) for one, several in rounds]))
    means = float(np.median([one.mean() / several.mean() for one, several in rounds]))
    return Gain(float(np.median(np.concatenate(alone))), float(np.median(np.concatenate(shared))), medians, means)


def _shared(found: Gain) -> str:
    return f"{found.shared:.0f} ({found.gain:.2f}, {found.mean_gain:.2f})"


def measure(networks: list[str], threads: int, rounds: int, cores: float) -> Iterator[tuple[str, float, dict[str, Gain]]]:
    """Time networks in both types, printing each as it comes."""
    heads = "".join(f"{f'{engine}: 1':>12}{f'{threads} threads':>24}" for engine in ("edgebn", "LiteRT"))
    print(f"{'microseconds (gain, of means)':34}{'cores give':>12}{heads}{'LiteRT / edgebn':>17}")
    for name in networks:
        for dtype in ("float32", "int8"):
            given, found = race(name, dtype, threads, rounds, cores)
            cells = "".join(f"{one.alone:>12.0f}{_shared(one):>24}" for one in found.values())
            over = f"{found['LiteRT'].shared / found['edgebn'].shared:17.2f}" if {"edgebn", "LiteRT"} <= set(found) else ""
            print(f"{f'{name}, {dtype}':34}{given:>12.2f}{cells}{over}", flush=True)
            yield f"{name}, {dtype}", given, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cores", type=float, default=0.0, metavar="X", help="leave out rounds in which cores give less than this")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep cores busy meanwhile")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    with busy(options.busy):
        for name, given, found in measure(options.networks, options.threads, options.rounds, options.cores):
            results[name] = {"cores": given, **{engine: asdict(one) for engine, one in found.items()}}
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
