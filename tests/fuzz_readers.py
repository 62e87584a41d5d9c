"""Feeds every reader damaged files and reports whatever is not one clear EdgebnError.

python tests/fuzz_readers.py --mutations 2000 [--reader onnx] [--seed 0]

A finding is another exception, a load over 5 s, or memory that grew by more than 1 GB. Each reader runs in a process of its own: a
crash is a finding too. The seeds are small valid models; how each format is damaged is in `fuzz/`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import edgebn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz import FORMATS, onnx_files

SECONDS_PER_FILE = 5
GROWTH_LIMIT = 1 << 30
ADDRESS_SPACE_LIMIT = 8 << 30


class TooSlowError(BaseException):
    """Raised by the alarm; a BaseException so that no reader can swallow it."""


@dataclass
class Findings:
    reader: str
    loaded: int = 0
    refused: int = 0
    failures: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    peak_growth: int = 0

    def line(self) -> str:
        return (
            f"{self.reader:7} {self.loaded + self.refused + sum(self.failures.values()):6} files: {self.refused} refused, "
            f"{self.loaded} still loaded, {sum(self.failures.values())} findings; slowest {self.slowest:.2f} s, "
            f"memory grew {self.peak_growth / 2**20:.0f} MiB"
        )


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _alarm(*_: object) -> None:
    raise TooSlowError


def loaded(path: Path) -> edgebn.Program:
    """Load a file, with the states that a seed's has."""
    states = onnx_files.states_of(path.read_bytes()) if path.suffix == ".onnx" else {}
    return edgebn.load(path, states=states) if states else edgebn.load(path)


def load_and_run(path: Path) -> None:
    """Load a file; what loads must also run, on zeros: a forged program must not lead a kernel outside its memory."""
    program = loaded(path)
    if path.suffix == ".edgebn":
        edgebn.Session(program).run({name: np.zeros((1, *program.shapes[name]), np.float32) for name in program.inputs})


def fuzz(reader: str, mutations: int, seed: int, use: Callable[[Path], object] = load_and_run) -> Findings:
    """Give `use` `mutations` damaged files of one format, in this process."""
    findings = Findings(reader)
    seeds, mutate, suffix = FORMATS[reader]
    files = seeds()
    signal.signal(signal.SIGALRM, _alarm)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{suffix}"
        for content in files:  # warm up: imports count for nothing below, and every seed must load as it stands
            path.write_bytes(content)
            use(path)
        baseline = _peak_memory()
        for index in range(mutations):
            content = mutate(files[index % len(files)], rng)
            path.write_bytes(content)
            start = time.perf_counter()
            signal.alarm(SECONDS_PER_FILE)
            try:
                use(path)
                findings.loaded += 1
            except edgebn.EdgebnError:
                findings.refused += 1
            except (Exception, TooSlowError) as error:  # noqa: BLE001  # finding whatever escapes is the purpose
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{type(error).__name__}: {str(error)[:120]} at {frame.filename}:{frame.lineno}"
                findings.failures[where] += 1
                if findings.failures[where] == 1:
                    Path(tempfile.gettempdir(), f"edgebn-finding-{reader}-{seed}-{index}{suffix}").write_bytes(content)
            finally:
                signal.alarm(0)
            findings.slowest = max(findings.slowest, time.perf_counter() - start)
            growth = _peak_memory() - baseline
            if growth > GROWTH_LIMIT and findings.peak_growth <= GROWTH_LIMIT:
                findings.failures[f"memory grew by {growth >> 20} MiB at mutation {index}"] += 1
            findings.peak_growth = max(findings.peak_growth, growth)
    return findings


def fuzz_apart(reader: str, mutations: int, seed: int) -> Findings:
    """`fuzz` in a process of its own, with bounded memory; a process that dies is a finding."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_bound_memory) as pool:
        try:
            return pool.submit(fuzz, reader, mutations, seed).result(timeout=300 + mutations)
        except BrokenProcessPool:
            return Findings(reader, failures=Counter({"the process died": 1}))


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_LIMIT, ADDRESS_SPACE_LIMIT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--reader", choices=sorted(FORMATS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = False
    for reader in arguments.reader or sorted(FORMATS):
        findings = fuzz_apart(reader, arguments.mutations, arguments.seed)
        print(findings.line(), flush=True)
        for where, count in findings.failures.most_common():
            failed = True
            print(f"    {count} x {where}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
