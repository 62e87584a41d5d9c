"""Times the networks of `architectures.py` beside the peers, with one thread and with two, and says who wins.

    python -m benchmarks.larger [--rounds 10] [--networks NAME ...] [--threads 1 2] [--cpu-time] [--busy 2] [--json larger.json]

Behind a network with several numbers of threads stands how much faster each engine is with them; --busy starts other processes that
keep cores busy meanwhile: a speed-up below 0.91 is then a tenth of one thread's time lost.

Interleaved in one process like `inference.py`. What it is at goes to stderr, and the JSON is whole after every race, so that a run
that is stopped leaves what it has measured. int8 weights go to the nearest codes: which they are changes no time, and to round them
well takes longer than all the timing.

A peer whose float32 result is not ours ends the run. In int8, where peers round otherwise than TensorFlow Lite Micro, networks of
random weights amplify single steps: such a result is marked with '!', for the shape of the work is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import inference
from benchmarks.inference import ENGINES, Times
from benchmarks.models.architectures import NETWORKS, case
from benchmarks.models.networks import Case
from benchmarks.peers.engines import Runner, open_litert, open_ncnn, open_onnxruntime

Clock = Callable[[], int]  # nanoseconds
TURN_SECONDS = 0.1  # of an engine, before the next one's


@dataclass(frozen=True)
class Race:
    """The engines' times of one network with some threads; `apart` has how far each result is from ours, over its size."""

    name: str
    threads: int
    times: Mapping[str, Times]
    apart: Mapping[str, float]

    @property
    def best_peer(self) -> float:
        """The least time of a peer over ours; 0 where there is no peer."""
        peers = [found.median for engine, found in self.times.items() if engine != "edgebn"]
        return min(peers) / self.times["edgebn"].median if peers else 0.0


def engines(found: Case, threads: int) -> dict[str, Runner]:
    """Return every engine that there is with a network in it."""
    made = {
        "edgebn": inference.ours(found, threads),
        "LiteRT": open_litert(found.tflite, found.x, threads),
        "onnxruntime": open_onnxruntime(found.program, found.x, threads),
        "ncnn": open_ncnn(found.program, found.x, threads),
    }
    return {engine: runner for engine, runner in made.items() if runner is not None}


def add_clock_option(parser: argparse.ArgumentParser) -> None:
    """Add --cpu-time, by which `clock_of` chooses."""
    parser.add_argument("--cpu-time", action="store_true", help="of the calling thread: for one thread, where others are at work")


def clock_of(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Clock:
    """Return the clock that the options ask for."""
    if options.cpu_time and options.threads != [1]:
        parser.error("--cpu-time counts the calling thread alone: add --threads 1")
    return time.thread_time_ns if options.cpu_time else time.perf_counter_ns


def race(found: Case, threads: int, rounds: int, clock: Clock = time.perf_counter_ns) -> Race:
    """Time the engines on one network."""
    runners = engines(found, threads)
    calls = calls_of_a_turn(runners)
    ours = runners["edgebn"].output().copy()
    apart = {engine: inference.difference(found, ours, runner.output()) for engine, runner in runners.items()}
    wrong = {engine: far for engine, far in apart.items() if far > inference.TOLERANCE["float32"]}
    if wrong and found.program.dtype == "float32":
        raise inference.DisagreementError(f"{found.name}: {wrong} of its size away from edgebn's result")
    return Race(found.name, threads, inference.interleave(runners, rounds, calls, clock, threads), apart)


def calls_of_a_turn(runners: Mapping[str, Runner]) -> int:
    """Run every engine once, and return how many calls of one at the mean make a turn."""
    begun = time.perf_counter()
    for runner in runners.values():
        runner.run()
    return max(2, int(TURN_SECONDS * len(runners) / (time.perf_counter() - begun)))


def head(first: str) -> str:
    """Return the first line of a table of races."""
    return f"{first:38}{'threads':>8}" + "".join(f"{engine:>22}" for engine in ENGINES) + f"{'best peer / ours':>18}  winner"


def line(found: Race, tolerance: float) -> str:
    """Return a race as a line of the table: median (minimum) in microseconds; '!' marks results that are not ours."""

    def cell(engine: str) -> str:
        if engine not in found.times:
            return "-"
        mark = "" if found.apart[engine] <= tolerance else "!"
        return f"{found.times[engine].median:.0f} ({found.times[engine].minimum:.0f}){mark}"

    winner = min(found.times, key=lambda engine: found.times[engine].median)
    cells = "".join(f"{cell(engine):>22}" for engine in ENGINES)
    return f"{found.name[-38:]:38}{found.threads:>8}{cells}{found.best_peer:>18.2f}  {winner}"


def speed_ups(races: Sequence[Race]) -> str:
    """Say how much faster every engine is with more threads than with one; nothing where it ran with one number of threads."""
    alone = {found.name: found for found in races if found.threads == 1}
    lines = []
    for found in races:
        first = alone.get(found.name)
        if found.threads > 1 and first is not None:
            factors = [f"{engine} {first.times[engine].median / times.median:.2f}" for engine, times in found.times.items()]
            lines.append(f"{found.name[-38:]:38}{found.threads:>8}  speed-up: {', '.join(factors)}")
    return "\n".join(lines)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep `count` cores busy meanwhile, with processes that do nothing else."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def who_wins(races: Sequence[Race]) -> str:
    """Say of races that have peers how many are won, and by how much at the mean."""
    ratios = np.array([found.best_peer for found in races if found.best_peer])
    mean = float(np.exp(np.log(ratios).mean()))
    return f"ours is faster on {(ratios >= 1).sum()} of {ratios.size}; geometric mean of peer / ours {mean:.2f}"


def as_json(races: list[Race]) -> list[dict[str, object]]:
    """Return what was measured as plain values."""
    return [
        {
            "network": found.name,
            "threads": found.threads,
            "us": {engine: vars(times) for engine, times in found.times.items()},
            "apart": dict(found.apart),
            "best_peer_over_ours": found.best_peer,
        }
        for found in races
    ]


def tell(doing: str) -> None:
    """Say on stderr what is done now, with the time of day: the table on stdout stays a table."""
    print(f"{time.strftime('%H:%M:%S')} {doing}", file=sys.stderr, flush=True)


def measure(networks: list[str], threads: list[int], rounds: int, clock: Clock = time.perf_counter_ns) -> Iterator[Race]:
    """Time networks in both types, printing each as it comes."""
    print(head("microseconds: median (minimum)"))
    for name in networks:
        for dtype in ("float32", "int8"):
            tell(f"{name} {dtype}: making the files")
            found = case(name, dtype)
            for count in threads:
                tell(f"{found.name}, {count} thread(s): timing")
                result = race(found, count, rounds, clock)
                print(line(result, inference.TOLERANCE[found.program.dtype]), flush=True)
                yield result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep cores busy meanwhile")
    parser.add_argument("--json", type=Path)
    add_clock_option(parser)
    options = parser.parse_args()
    races: list[Race] = []
    with busy(options.busy):
        for result in measure(options.networks, options.threads, options.rounds, clock_of(parser, options)):
            races.append(result)
            if options.json:
                options.json.write_text(json.dumps(as_json(races), indent=1) + "\n", encoding="utf-8")
    print(speed_ups(races))
    for count in options.threads:
        for dtype in ("float32", "int8"):
            of_one = [found for found in races if found.threads == count and dtype in found.name and found.best_peer]
            if of_one:
                print(f"{dtype}, {count} thread(s): {who_wins(of_one)}")


if __name__ == "__main__":
    main()
