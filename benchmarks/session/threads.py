"""Times inferences with one thread and with several, ours and LiteRT's, turn by turn, and says what the threads gain.

    python -m benchmarks.session.threads [--networks NAME ...] [--threads 2] [--rounds 12] [--anywhere] [--busy 2] [--json FILE]

Engines of several threads are first called some times. A turn is a tenth of a second of one engine with one number of threads;
before it nothing is done until the threads of the turn before sleep, and its first calls do not count. A round's gain is its
own one thread's time over its several threads'; the table has the median of rounds, so that a minute in which the machine was
busy counts for both. Beside the medians stand the means, which single calls that were held up change.

A virtual machine's processors are moved about the cores of its host, some times a second: two may be threads of one core, or stand
under different last-level caches, where no engine's threads gain what they gain on two cores of a board. So the placement of two
threads is measured before and after every turn of several (`placement.py`), and rounds count in which they had cores of their own
next to each other; the table says how many of those tried. --anywhere counts all.

--busy starts other processes that keep cores busy: what matters then is that no gain is below 0.91. All rounds
count there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import inference
from benchmarks.larger import busy
from benchmarks.models.architectures import NETWORKS, case
from benchmarks.peers.engines import Runner, open_litert
from benchmarks.session.placement import placement

TURN_SECONDS = 0.1
LONGEST = 8  # times as many rounds are tried as are wanted
FIRST_CALLS = 90  # of several threads, before the first turn: a session tries twice meanwhile whether one thread is faster
# Two threads have cores of their own and stand next to each other: what both compute over what one does, and nanoseconds between.
OWN_CORES, NEAR = 1.8, 120.0


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


def shared_turn(runner: Runner) -> tuple[np.ndarray, bool]:
    """Return the same of several threads, and whether they had cores of their own next to each other, before and after."""
    before = placement()
    found = turn(runner)
    return found, all(one.fits(OWN_CORES, NEAR) for one in (before, placement()))


def race(name: str, dtype: str, threads: int, rounds: int, *, anywhere: bool) -> tuple[float, dict[str, Gain]]:
    """Return which part of the rounds counts, and what several threads gain each engine in a network.

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
    times: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {engine: [] for engine, pair in there.items() if len(pair) == len(ours)}
    for engine in times:
        for _ in range(FIRST_CALLS):
            there[engine][1].run()
    tried = 0
    while min(map(len, times.values())) < rounds and tried < LONGEST * rounds:
        tried += 1
        for engine, counted in times.items():
            alone, several = there[engine]
            one = turn(alone)
            other, fits = shared_turn(several)
            if fits or anywhere:
                counted.append((one, other))
    part = sum(map(len, times.values())) / (tried * len(times))
    return part, {engine: gain(counted) for engine, counted in times.items() if counted}


def gain(rounds: list[tuple[np.ndarray, np.ndarray]]) -> Gain:
    """Return the gain of turns with one thread and with several, round by round."""
    alone, shared = (np.concatenate(turns) for turns in zip(*rounds, strict=True))
    medians = float(np.median([np.median(one) / np.median(several) for one, several in rounds]))
    means = float(np.median([one.mean() / several.mean() for one, several in rounds]))
    return Gain(float(np.median(alone)), float(np.median(shared)), medians, means)


def _shared(found: Gain) -> str:
    return f"{found.shared:.0f} ({found.gain:.2f}, {found.mean_gain:.2f})"


def measure(networks: list[str], threads: int, rounds: int, *, anywhere: bool) -> Iterator[tuple[str, float, dict[str, Gain]]]:
    """Time networks in both types, printing each as it comes."""
    heads = "".join(f"{f'{engine}: 1':>12}{f'{threads} threads':>24}" for engine in ("edgebn", "LiteRT"))
    print(f"{'microseconds (gain, of means)':34}{'counted':>12}{heads}{'LiteRT / edgebn':>17}")
    for name in networks:
        for dtype in ("float32", "int8"):
            part, found = race(name, dtype, threads, rounds, anywhere=anywhere)
            cells = "".join(f"{one.alone:>12.0f}{_shared(one):>24}" for one in found.values())
            over = f"{found['LiteRT'].shared / found['edgebn'].shared:17.2f}" if {"edgebn", "LiteRT"} <= set(found) else ""
            print(f"{f'{name}, {dtype}':34}{part:>12.0%}{cells}{over}", flush=True)
            yield f"{name}, {dtype}", part, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--anywhere", action="store_true", help="count threads on one core, and far from each other, too")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep cores busy meanwhile")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    with busy(options.busy):
        anywhere = options.anywhere or options.busy > 0
        for name, part, found in measure(options.networks, options.threads, options.rounds, anywhere=anywhere):
            results[name] = {"counted": part, **{engine: asdict(one) for engine, one in found.items()}}
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
