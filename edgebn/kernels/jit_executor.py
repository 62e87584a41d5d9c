"""The executor's source, written from the kernels' signatures, and its compilation by Numba for this process.

The code of an operation is its position in the registry, and the dispatch is a ladder over codes. An executor of one data type
holds the kernels of that type only, so that a process compiles no more than it uses; the ahead-of-time builder compiles the one
with all.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import numba

from edgebn.kernels import boundary, fast_call, kept, native, primitives, work_sharing
from edgebn.kernels.records import CHECK_WORDS, JOIN, NOT_HANDLED
from edgebn.kernels.registry import OPERATIONS

Signature = tuple[str, tuple[tuple[str, bool], ...]]  # a kernel's name and its arguments: (name, is_float)


TEMPLATE = '''"""Written by edgebn.kernels.jit_executor: the dispatch over kernels, {dtype}."""


def run(call, batch, argument):
    table, rows, width = load_i64(call, 0), load_i64(call, 1), load_i64(call, 2)
    patches, patch_count = load_i64(call, 3), load_i64(call, 4)
    checks, check_count = load_i64(call, 5), load_i64(call, 6)
    sharing, phases, phase_count, tasks = load_i64(call, 7), load_i64(call, 8), load_i64(call, 9), load_i64(call, 10)
    lock = load_i64(call, 11)
    failed = sample = 0
    who = argument if batch == JOIN else 0
    if batch == JOIN:
        join(sharing)
    else:
        if argument != 0:
            if not check_and_bind(load_i64(call, 12), lock, argument, patches, checks, check_count):
                return NOT_HANDLED
        elif lock != 0:
            acquire(lock)
        for i in range(check_count):
            if failed == 0 and arrives(checks + 8 * CHECK_WORDS * i, batch):
                failed = i + 1
        if failed != 0:
            sample = batch
    while sample != batch:
        task = -1
        if batch != JOIN:
            for i in range(patch_count):
                place = load_i64(patches, 4 * i) * width + load_i64(patches, 4 * i + 1)
                base = load_i64(load_i64(patches, 4 * i + 2), 0)
                if place >= 0:
                    store_i64(table, place, base + sample * load_i64(patches, 4 * i + 3))
            if batch != 1:
                for i in range(check_count):
                    bring(checks + 8 * CHECK_WORDS * i, sample)
            if sharing != 0:
                task = begin(sharing, phases, phase_count)
        first, end = 0, rows
        if sharing != 0 and task < 0:
            task = next_task(sharing, phases, phase_count, who, task)
        while sharing == 0 or task >= 0:
            if sharing != 0:
                mine = tasks + 16 * (task & MASK)
                first, end = load_i64(mine, 0), load_i64(mine, 1)
            for i in range(first, end):
                row = table + 8 * width * i
                code = load_i64(row, 0)
{ladder}
            if sharing == 0:
                break
            task = next_task(sharing, phases, phase_count, who, task)
        sample = batch if batch == JOIN else sample + 1
    if batch == JOIN:
        leave(sharing)
    elif lock != 0:
        release(lock)
    return failed
'''


ALL = "mixed"  # the executor that holds every kernel


def signatures() -> list[Signature]:
    """Return the name and arguments of every kernel, in the order of their codes."""
    return [_signature(kernel) for kernels in OPERATIONS.values() for kernel in kernels]


def _kernels_of(dtype: str) -> list[Callable[..., None]]:
    """Return the kernels that an executor of a data type holds."""
    return [kernel for group, kernels in OPERATIONS.items() if dtype == ALL or group in ("shared", dtype) for kernel in kernels]


def _parameters(kernel: Callable[..., None]) -> dict[str, type]:
    """Return a kernel's parameters and their types: int, float, or a group of `parameters.py`."""
    function = getattr(kernel, "py_func", kernel)
    kinds = typing.get_type_hints(function)
    return {name: kinds[name] for name in inspect.signature(function).parameters}


def _is_group(kind: type) -> bool:
    return issubclass(kind, tuple)


def _group_name(kind: type) -> str:
    """Return the name of a group in the executor's source: two modules may have one of a name."""
    return f"{kind.__module__.rpartition('.')[2]}_{kind.__name__}"


def _words(name: str, kind: type) -> dict[str, type]:
    """Return the words of a parameter: the fields of a group, or itself."""
    return typing.get_type_hints(kind) if _is_group(kind) else {name: kind}


def _signature(kernel: Callable[..., None]) -> Signature:
    words = [word for parameter in _parameters(kernel).items() for word in _words(*parameter).items()]
    return kernel.__name__, tuple((name, kind is float) for name, kind in words)


def source(dtype: str) -> str:
    """Return the text of the executor's function `run`."""
    lines: list[str] = []
    kernels = _kernels_of(dtype)
    for code, kernel in enumerate(kernel for kernels in OPERATIONS.values() for kernel in kernels):
        if kernel in kernels:
            lines.append(f"                {'elif' if lines else 'if'} code == {code}:")
            lines.append(f"                    {_call(kernel)}")
    return TEMPLATE.format(dtype=dtype, ladder="\n".join(lines))


def _call(kernel: Callable[..., None]) -> str:
    """Return the call of a kernel with the words of a row."""
    arguments, position = [], 1
    for name, kind in _parameters(kernel).items():
        words = []
        for real in (word is float for word in _words(name, kind).values()):
            words.append(f"float_from_bits(load_i64(row, {position}))" if real else f"load_i64(row, {position})")
            position += 1
        arguments.append(f"{_group_name(kind)}({', '.join(words)})" if _is_group(kind) else words[0])
    return f"{kernel.__name__}({', '.join(arguments)})"


def names(dtype: str) -> dict[str, Any]:
    """Return what the executor's source calls."""
    primitive = {name: getattr(primitives, name) for name in ("float_from_bits", "load_i64", "store_i64")}
    walking = {name: getattr(work_sharing, name) for name in ("MASK", "begin", "next_task", "join", "leave")}
    locked = {name: getattr(fast_call, name) for name in ("check_and_bind", "acquire", "release")}
    kernels = _kernels_of(dtype)
    found: dict[str, Any] = {kernel.__name__: kernel for kernel in kernels}
    groups = {_group_name(kind): kind for kernel in kernels for kind in _parameters(kernel).values() if _is_group(kind)}
    entered: dict[str, Any] = {name: getattr(boundary, name) for name in ("arrives", "bring")}
    constants = {"CHECK_WORDS": CHECK_WORDS, "JOIN": JOIN, "NOT_HANDLED": NOT_HANDLED}
    return found | groups | primitive | walking | locked | entered | constants


def plain_function(dtype: str) -> Callable[..., int]:
    """Return the executor as a Python function, of no file."""
    return kept.loaded(f"executor_{dtype}", f"<edgebn executor {dtype}>", source(dtype), names(dtype))


def compiled(dtype: str) -> Callable[..., int]:
    """Compile the executor of a data type, or load it from the cache: there the one with all kernels serves as well."""
    if dtype != ALL and not _is_kept(dtype) and _is_kept(ALL):
        dtype = ALL
    return _compiled(dtype)


def _is_kept(dtype: str) -> bool:
    return kept.is_kept(f"executor_{dtype}", source(dtype), names(dtype))


@functools.cache
def _compiled(dtype: str) -> Callable[..., int]:
    signature = numba.int64(*[numba.int64] * native.ARGUMENTS)
    return kept.compiled(f"executor_{dtype}", source(dtype), names(dtype), signature)
