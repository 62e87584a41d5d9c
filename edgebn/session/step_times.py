"""How long each step of a program takes here: its rows of the operation table called alone, in the order of an inference."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from edgebn.errors import EdgebnError, ModelError
from edgebn.program import Program
from edgebn.quick_dataclass import dataclass

MIN_ROUNDS, MAX_ROUNDS = 5, 1000
WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class StepTimes:
    """Microseconds on one thread, medians over the rounds.

    Attributes
    ----------
    whole : float
        Of an inference in one call.
    steps : dict of str to float
        By step; what moves an output to the caller counts to the step that makes it. Steps that move nothing (Reshape) take 0.
    moving : float
        Of inputs and states, from and to where they are kept.
    beside : dict of str to str
        Steps that go strip by strip with another, in whose time theirs stands.
    rounds : int
    """

    whole: float
    steps: dict[str, float]
    moving: float
    beside: dict[str, str]
    rounds: int


def step_times(program: Program, x: Any, *, seconds: float = 2.0, winograd: bool = True) -> StepTimes:
    """Time every step of an inference, and the inference as a whole, in turn.

    A step is timed where an inference has it: behind the step before, with the caches as that left them. The time of a call that
    does nothing is taken off.

    Parameters
    ----------
    program : Program
    x : array, shape (1, ...), or dict of input name to such
        As for `Session.run`.
    seconds : float
        After which no further round begins; there are five at least.
    winograd : bool
        As for `Session`.

    Raises
    ------
    ModelError
        A value of the wrong shape or type, or one that holds NaN.
    EdgebnError
        There are no kernels for this CPU.
    """
    from edgebn.kernels import executor
    from edgebn.session import arrays
    from edgebn.session.options import Options
    from edgebn.session.tables import Packed

    try:
        packed = Packed(program, Options(threads=1, winograd=winograd))
        execute = executor.executor(program.executor_dtype)
    except executor.NoKernelsError as error:
        raise EdgebnError(str(error)) from None
    inputs, batch, as_codes = arrays.accept(program, x)
    taken = arrays.results(program, None, batch, as_codes=as_codes)
    table = packed.codes if as_codes else packed.real
    alive = table.bind((*inputs.values(), *(taken[name] for name in table.outputs)))
    enter = executor.call(table.words, table.patches, table.checks)
    enter[1] = 0  # no rows: it puts addresses in, and inputs where they are checked on their way
    nothing = executor.call(table.words)
    nothing[1] = 0
    groups = [(owner, executor.call(table.words[first:end])) for owner, first, end in _groups(table.owners)]
    calls = [(owner, call.ctypes.data) for owner, call in groups]
    wholes: list[int] = []
    empties: list[int] = []
    inputs_read: list[int] = []
    rounds: list[list[int]] = []
    began = time.perf_counter()
    while len(rounds) < MIN_ROUNDS + WARM_UP_ROUNDS or (len(rounds) < MAX_ROUNDS and time.perf_counter() - began < seconds):
        before = time.perf_counter_ns()
        failed = execute(table.call, 1, 0)
        wholes.append(time.perf_counter_ns() - before)
        if failed:
            raise ModelError(
                f"{program.source}: the value for input '{program.inputs[failed - 1]}' holds NaN; clean the input first"
            )
        empties.append(_timed(execute, nothing.ctypes.data))
        inputs_read.append(_timed(execute, enter.ctypes.data))
        rounds.append([_timed(execute, call) for _, call in calls])
    del alive
    empty = float(np.median(empties[WARM_UP_ROUNDS:]))
    medians = [max(0.0, float(value) - empty) for value in np.median(rounds[WARM_UP_ROUNDS:], axis=0)] if calls else []
    maker = {step.output: step.name for step in program.steps}
    found = {step.name: 0.0 for step in program.steps}
    moving = max(0.0, float(np.median(inputs_read[WARM_UP_ROUNDS:])) - empty)
    for (owner, _), taken_time in zip(calls, medians, strict=True):
        name = owner if owner in found else maker.get(owner)
        if name is None:
            moving += taken_time
        else:
            found[name] += taken_time / 1e3
    for name in packed.beside:
        del found[name]
    whole = float(np.median(wholes[WARM_UP_ROUNDS:])) / 1e3
    return StepTimes(whole, found, moving / 1e3, dict(packed.beside), len(rounds) - WARM_UP_ROUNDS)


def _timed(execute: Any, call: int) -> int:
    before = time.perf_counter_ns()
    execute(call, 1, 0)
    return time.perf_counter_ns() - before


def _groups(owners: Iterable[str]) -> Iterable[tuple[str, int, int]]:
    """Yield runs of rows with one owner: (owner, first row, end)."""
    first = 0
    for owner, run in itertools.groupby(owners):
        end = first + len(list(run))
        yield owner, first, end
        first = end
