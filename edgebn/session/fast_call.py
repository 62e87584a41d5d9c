"""The fast call in as few steps as Python takes: arrays of one sample in and out, checked in machine code.

Every line costs a tenth of a microsecond, where a small network takes three. What does not fit is left to the session.

An array belongs to whoever passes it until the call returns: a shape that another thread assigns meanwhile may or may not be seen,
and the memory cannot go, as the caller holds the array.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebn.kernels import executor
from edgebn.session import ndarray_struct

if TYPE_CHECKING:
    from edgebn.session.tables import Table
    from edgebn.session.workers import Workers

# (x, out or None) -> what `Session.run` returns, or None where the call is not a fast one or has an error to tell of.
FastCall = Callable[[Any, Any], Any]


def fast_call(
    table: Table,
    program_dtype: str,
    lock: int,
    input_layouts: Sequence[ndarray_struct.ArrayLayout],
    output_layouts: Sequence[ndarray_struct.ArrayLayout],
    workers: Workers | None = None,
    *,
    is_brief: bool,
) -> FastCall:
    """Return the fast call of a table: of arrays, or where there are several of dicts of them.

    Parameters
    ----------
    program_dtype : {'int8', 'float32', 'mixed'}
        Of the table's executor.
    lock : int
        Address of the session's lock.
    input_layouts, output_layouts : sequence of (shape, dtype)
        In the table's order; shapes are of one sample, and begin with its axis of 1.
    workers : Workers, optional
        Who help with a table that threads can share.
    is_brief : bool
        Whether it is done in so few microseconds that Python's lock need not be released; workers need it.
    """
    guard, *layouts = ndarray_struct.guard(input_layouts, output_layouts)

    def of(one: Table) -> FastCall:
        patches, checks = one.patches.copy(), one.checks.copy()  # bound while the lock is held; the table's own, under the lock
        words = executor.call(one.words, patches, checks, shared=one.shared, lock=lock, guard=guard.ctypes.data)
        execute = executor.fast_call(program_dtype, words.ctypes.data, keeps_lock=is_brief and workers is None)
        alive = (one, guard, layouts, patches, checks, words)
        if len(input_layouts) == len(output_layouts) == 1:
            return _from_one_to_one(execute, *output_layouts[0], alive)
        return _of_several(execute, one.inputs, one.outputs, output_layouts, alive)

    if workers is None:
        return of(table)
    return _of_workers(of(table), None if table.alone is None else of(table.alone), workers, table)


def _of_workers(shared: FastCall, alone: FastCall | None, workers: Workers, table: Table) -> FastCall:
    """Return the fast call that goes the way which pays: with the workers, who are asked to come first, or without."""
    wake, pace, clock = workers.wake, table.pace, time.perf_counter

    def run(x: Any, out: Any) -> Any:
        if alone is None:
            wake(table)
            return shared(x, out)
        call = alone
        if pace.shares:
            call = shared
            wake(table)
        begun = clock()
        result = call(x, out)
        if result is not None:
            pace.note(clock() - begun)
        return result

    return run


def _from_one_to_one(execute: Callable[..., Any], shape: tuple[int, ...], dtype: np.dtype[Any], alive: object) -> FastCall:
    empty = np.empty

    def run(x: Any, out: Any, _alive: object = alive) -> Any:  # an array that is not used costs less than to look at x here too
        return execute(x, empty(shape, dtype) if out is None else out)

    return run


def _of_several(
    execute: Callable[..., Any],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    output_layouts: Sequence[ndarray_struct.ArrayLayout],
    alive: object,
) -> FastCall:
    """Return the fast call where several arrays enter or leave; one of either comes and goes without a dict."""
    empty, shapes, dtypes = np.empty, *zip(*output_layouts, strict=True)
    shape, dtype, entering, leaving = shapes[0], dtypes[0], len(inputs), len(outputs)
    # Of a single name they would give the value instead of a tuple: neither is asked for then.
    entering_of, leaving_of = itemgetter(*inputs), itemgetter(*outputs)

    def to_one(x: Any, out: Any, _alive: object = alive) -> Any:
        if type(x) is not dict or len(x) != entering:
            return None
        try:
            return execute(*entering_of(x), empty(shape, dtype) if out is None else out)
        except KeyError:  # a name is another
            return None

    def to_several(x: Any, out: Any, _alive: object = alive) -> Any:
        try:
            if out is None:
                results: Any = [*map(empty, shapes, dtypes)]
            elif type(out) is dict and len(out) == leaving:
                results = leaving_of(out)
            else:
                return None
            if entering == 1:
                done = execute(x, *results)
            elif type(x) is dict and len(x) == entering:
                done = execute(*entering_of(x), *results)
            else:
                return None
        except KeyError:  # a name is another
            return None
        return None if done is None else dict(zip(outputs, results))  # noqa: B905  # as many: strict takes as long as the rest

    return to_one if leaving == 1 else to_several
