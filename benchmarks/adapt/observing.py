"""What gathering statistics for adaptation costs: an inference that observes beside one that does not, interleaved in one process.

    python -m benchmarks.adapt.observing [--rounds 400] [--rows N] [--output FILE]

Prints the share of an inference that observing adds at the default choice of rows (or at every N-th), the time of a refold, what
`Adapter.run` takes beyond `Session.run` for a sample at home (the gate shut) and for one under a shift (open), and the bytes of
state and tables; writes them as JSON where asked to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgebn
from benchmarks.models.networks import Case, cases
from edgebn.adapt.policies import POLICIES
from edgebn.adapt.source_statistics import SourceStatistics

CALLS = 3  # in a row, before the other's turn: less than what another process leaves us at a time
SAMPLES = 30  # that source tables are measured on: their content costs nothing


@dataclass(frozen=True)
class Cost:
    """One network.

    Attributes
    ----------
    name : str
    plain : float
        Microseconds of an inference that observes nothing.
    share : float
        What observing adds, of that; median of interleaved rounds.
    refold : float
        Microseconds of folding new statistics into all epilogues.
    learning : dict of str to float
        Microseconds a sample that `Adapter.run` takes beyond `Session.run`, with the gate 'shut' and 'open'.
    channels, table_bytes : int
        Adapted channels, and the bytes of the largest policy's source tables.
    state_bytes : dict of str to int
        By policy.
    """

    name: str
    plain: float
    share: float
    refold: float
    learning: dict[str, float]
    channels: int
    table_bytes: int
    state_bytes: dict[str, int]


def measure(case: Case, rounds: int, rows: int | None) -> Cost:
    """Time a case both ways."""
    rng = np.random.default_rng(0)
    images = np.repeat(case.x, SAMPLES, axis=0)
    noise = rng.normal(0, float(images.std()) + 1e-6, images.shape)
    images = np.clip(images + noise, -128, 127).astype(np.int8) if images.dtype == np.int8 else (images + noise).astype(np.float32)
    model = edgebn.adaptable(case.program, images, rows=rows)
    session = edgebn.Session(model)
    name = model.outputs[0]
    out = np.empty((1, *model.shapes[name]), case.x.dtype)
    as_codes = case.x.dtype == np.int8
    given: Any = model.adaptation
    outputs = [out] if not given.classes else [np.empty(given.classes, model.dtype), out]
    plain, observing = session._packed.codes if as_codes else session._packed.real, session._packed.observing(as_codes=as_codes)
    held = plain.bind((case.x, out)), observing.bind((case.x, *outputs))
    times: dict[str, list[float]] = {"plain": [], "observing": [], "ratio": []}
    for _ in range(rounds):
        took = [_time(session, table) for table in (plain, observing)]
        for key, value in zip(times, (*took, took[1] / took[0]), strict=True):
            times[key].append(value)
    del held
    source = SourceStatistics(model)
    drift, ratio = np.full(source.channels, 0.1, np.float32), np.full(source.channels, 1.1, np.float32)
    session.refold(drift, ratio)
    begin = time.perf_counter()
    for _ in range(CALLS):
        session.refold(drift, ratio)
    refold = (time.perf_counter() - begin) / CALLS
    fits = (policy for policy in POLICIES.values() if source.classes or not policy.needs_classes)
    policies = [policy for policy in fits if model.dtype == "float32" or not policy.needs_gradients]
    states = {policy.name: 4 * (policy.planes * source.channels + policy.scalars) for policy in policies}
    tables = max((table.first.nbytes + table.second.nbytes for table in given.tables), default=0)
    share = statistics.median(times["ratio"]) - 1
    learning = {name: _learning(model, x, rounds) * 1e6 for name, x in (("shut", images), ("open", _shifted(images)))}
    return Cost(case.name, statistics.median(times["plain"]) * 1e6, share, refold * 1e6, learning, source.channels, tables, states)


def _shifted(images: np.ndarray) -> np.ndarray:
    """Return images at a third of their contrast, in the middle of their range."""
    middle = images.mean(dtype=np.float64)
    return (middle + (images - middle) / 3).astype(images.dtype)


def _learning(model: edgebn.Program, images: np.ndarray, rounds: int) -> float:
    """Return the median of what a sample takes an adapter beyond a session."""
    adapter, session = edgebn.Adapter(edgebn.Session(model)), edgebn.Session(model)
    adapter.run(np.tile(images, (10, *[1] * (images.ndim - 1))))  # until the gate stands where it stays
    found = []
    for i in range(rounds):
        x = images[i % len(images)][None]
        times = []
        for runner in (session, adapter):
            begin = time.perf_counter()
            for _ in range(CALLS):
                runner.run(x)
            times.append(time.perf_counter() - begin)
        found.append((times[1] - times[0]) / CALLS)
    return statistics.median(found)


def _time(session: Any, table: Any) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        session._execute(table.call, 1, 0)
    return (time.perf_counter() - begin) / CALLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], prog="python -m benchmarks.adapt.observing")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--rows", type=int, help="observe every n-th row instead of the default choice")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    found = []
    heads = f"{'plain us':>9} {'observing':>9} {'refold us':>9} {'shut us':>8} {'open us':>8} {'channels':>8} {'tables B':>8}"
    print(f"{'network':32} {heads}  state B")
    for case in cases():
        try:
            one = measure(case, options.rounds, options.rows)
        except edgebn.ModelError as error:
            print(f"{case.name:32} cannot adapt: {error}")
            continue
        found.append(one)
        states = ", ".join(f"{name} {size}" for name, size in one.state_bytes.items())
        learning = " ".join(f"{value:8.1f}" for value in one.learning.values())
        figures = f"{one.plain:9.2f} {100 * one.share:+8.1f}% {one.refold:9.1f} {learning} {one.channels:8} {one.table_bytes:8}"
        print(f"{one.name:32} {figures}  {states}")
    if options.output:
        options.output.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
