"""The self-test: every kernel on the recorded networks, on one thread and with all work split among all, against recorded bytes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

from edgebn.doctor.recorded import Recorded, read
from edgebn.errors import EdgebnError
from edgebn.kernels import executor
from edgebn.quick_dataclass import dataclass
from edgebn.reference import dequantize
from edgebn.session import Session, bands, direct_inputs, pace, pooling, shares, splitting, strip_pairs, strips, tables

# float32 engines sum in another order than the specification: of the larger of 1 and the buffer's largest magnitude.
FLOAT_TOLERANCE = 1e-5
LEARNED_TOLERANCE = 1e-3  # of outputs behind float32 statistics of many samples

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SelfTest:
    """What was found.

    Attributes
    ----------
    networks, values : int
        How many networks ran, and how many numbers were compared.
    threads : list of int
        With so many threads each.
    kernels, covered : int
        How many kernels there are, and how many of them ran.
    not_run : list of str
        Those that no network needs on this instruction set.
    wrong : list of str
        One line for each difference: network, threads, buffer, how many numbers differ.
    """

    networks: int
    values: int
    threads: list[int]
    kernels: int
    covered: int
    not_run: list[str]
    wrong: list[str]


def all_threads() -> int:
    """Return how many threads the second run has: every core's, and two at least."""
    return max(2, os.cpu_count() or 1)


def self_test(networks: list[Recorded] | None = None, progress: Progress = lambda _done, _total: None) -> SelfTest:
    """Run the recorded networks, or others.

    Parameters
    ----------
    networks : list of Recorded, optional
    progress : callable
        Told how many networks are done, of how many.
    """
    tested = list(read()) if networks is None else networks
    threads = [1, all_threads()]
    used: set[str] = set()
    wrong: list[str] = []
    compared = 0
    for done, network in enumerate(tested, 1):
        for number in threads:
            with as_if_large(), sharing_everything() if number > 1 else contextlib.nullcontext(), noting_kernels(used):
                try:
                    count, faults = learned(network, number) if network.policy else ran(network, number)
                except EdgebnError as error:
                    count, faults = 0, [str(error)]
            compared += count
            wrong += [f"{network.name}, {number} thread{'s' if number > 1 else ''}: {fault}" for fault in faults]
        progress(done, len(tested))
    every = set(executor.operations())
    return SelfTest(len(tested), compared, threads, len(every), len(every & used), sorted(every - used), wrong)


@contextlib.contextmanager
def as_if_large() -> Iterator[None]:
    """Let small networks take the ways of large ones: no copies of the user's arrays, steps that go by strips, sums of blocks."""
    with (
        patch.object(direct_inputs, "MIN_IN_PLACE", 0),
        patch.object(tables, "MIN_DIRECT", 0),
        patch.object(strip_pairs, "MIN_MAP", 0),
        patch.object(strips, "STRIP", 1),
        patch.object(pooling, "MIN_BY_BLOCKS", 0),
    ):
        yield


@contextlib.contextmanager
def sharing_everything() -> Iterator[None]:
    """Split every operation that has two units and share every call, however small: a self-test's networks are."""
    with (
        patch.object(bands, "MIN_MACS", dict.fromkeys(bands.MIN_MACS, 1)),
        patch.object(bands, "MIN_PROGRAM_MACS", dict.fromkeys(bands.MIN_PROGRAM_MACS, 0)),
        patch.object(shares, "MIN_SHARE", 1e-3),
        patch.object(splitting, "MIN_GAIN", 0.0),
        patch.object(pace.Pace, "shares", True),
    ):
        yield


def ran(network: Recorded, threads: int) -> tuple[int, list[str]]:
    """Run a network; return how many numbers were compared and what differs.

    Every buffer against what was recorded; then the outputs as callers get them, which other kernels move.
    """
    session = Session(network.program, threads)
    found = session.run_buffers(network.inputs)
    faults = [*compared(found, network.values, FLOAT_TOLERANCE)]
    if not network.program.states:  # a second run of those goes on where the first ended
        result = session.run(network.inputs)
        outputs = result if isinstance(result, dict) else {network.program.outputs[0]: result}
        for name, value in outputs.items():
            buffer = network.program.buffers[name]
            inside = found[name] if value.dtype == found[name].dtype else dequantize(found[name], buffer)
            if inside.tobytes() != value.tobytes():
                faults.append(f"the output '{name}' is not the buffer that it comes from")
    return sum(value.size for value in network.values.values()), faults


def learned(network: Recorded, threads: int) -> tuple[int, list[str]]:
    """The same for an adapter that learns from the samples."""
    from edgebn.adapt import Adapter

    adapter = Adapter(Session(network.program, threads), network.policy)
    outputs = np.concatenate([adapter.run(network.inputs[i : i + 1]) for i in range(len(network.inputs))])
    faults = [*compared({network.program.outputs[0]: outputs}, network.values, LEARNED_TOLERANCE)]
    if network.program.dtype == "int8" and adapter.to_bytes() != network.state:
        faults.append("the state that it learned differs")
    return outputs.size + len(network.state), faults


def compared(found: dict[str, np.ndarray], recorded: dict[str, np.ndarray], tolerance: float) -> Iterator[str]:
    """Yield a line for each buffer that differs."""
    for name, wanted in recorded.items():
        value = found.get(name)
        if value is None or (value.shape, value.dtype) != (wanted.shape, wanted.dtype):
            yield f"buffer '{name}' is not what was recorded"
            continue
        if wanted.dtype == np.float32:
            finite = wanted[np.isfinite(wanted)]
            bound = tolerance * max(1.0, float(np.abs(finite).max(initial=0)))
            with np.errstate(invalid="ignore"):
                same = (np.abs(value - wanted) <= bound) | (value == wanted) | (np.isnan(value) & np.isnan(wanted))
        else:
            same = value == wanted
        if not same.all():
            yield f"{np.count_nonzero(~same)} of {same.size} numbers of '{name}' differ"


@contextlib.contextmanager
def noting_kernels(used: set[str]) -> Iterator[None]:
    """Add, inside, the name of every kernel that gets a row in an operation table."""
    row = executor.row

    def noted(operation: executor.Operation, **arguments: Any) -> list[int]:
        used.add(operation.name)
        return row(operation, **arguments)

    with patch.object(executor, "row", noted):
        yield
