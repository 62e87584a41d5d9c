"""The executor's source, written from the kernels' signatures, and its compilation by Numba for this process.

One executor a data type, so that a process compiles only what it uses; the code of an operation is its position in the registry,
and the dispatch is a ladder over codes. The ahead-of-time builder compiles the same source.
"""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable
from typing import Any

import numba

from edgebn.kernels import boundary, cache, primitives
from edgebn.kernels.registry import OPERATIONS

Signature = tuple[str, tuple[tuple[str, bool], ...]]  # a kernel's name and its arguments: (name, is_float)

ARGUMENTS = 2  # of the executor, both int64

TEMPLATE = '''"""Written by edgebn.kernels.jit_executor: the dispatch over the {dtype} kernels."""


def run(call, batch):
    table, rows, width = load_i64(call, 0), load_i64(call, 1), load_i64(call, 2)
    patches, patch_count = load_i64(call, 3), load_i64(call, 4)
    checks, check_count = load_i64(call, 5), load_i64(call, 6)
    for i in range(check_count):
        if has_nan(load_i64(load_i64(checks, 2 * i), 0), batch * load_i64(checks, 2 * i + 1)):
            return i + 1
    for sample in range(batch):
        for i in range(patch_count):
            place = load_i64(patches, 4 * i) * width + load_i64(patches, 4 * i + 1)
            base = load_i64(load_i64(patches, 4 * i + 2), 0)
            store_i64(table, place, base + sample * load_i64(patches, 4 * i + 3))
        for i in range(rows):
            row = table + 8 * width * i
            code = load_i64(row, 0)
{ladder}
    return 0
'''


def signatures(dtype: str) -> list[Signature]:
    """Return the name and arguments of every kernel of a data type, in the order of their codes."""
    return [_signature(kernel) for kernel in OPERATIONS[dtype]]


def _signature(kernel: Callable[..., None]) -> Signature:
    parameters = inspect.signature(getattr(kernel, "py_func", kernel)).parameters
    return kernel.__name__, tuple((name, argument.annotation == "float") for name, argument in parameters.items())


def source(dtype: str) -> str:
    """Return the text of the executor's function `run`."""
    lines: list[str] = []
    for code, (name, arguments) in enumerate(signatures(dtype)):
        words = [
            f"float_from_bits(load_i64(row, {position}))" if real else f"load_i64(row, {position})"
            for position, (_, real) in enumerate(arguments, start=1)
        ]
        lines.append(f"            {'elif' if lines else 'if'} code == {code}:")
        lines.append(f"                {name}({', '.join(words)})")
    return TEMPLATE.format(dtype=dtype, ladder="\n".join(lines))


def names(dtype: str) -> dict[str, Any]:
    """Return what the executor's source calls."""
    helpers = (primitives.float_from_bits, primitives.load_i64, primitives.store_i64, boundary.has_nan)
    found: dict[str, Any] = {kernel.__name__: kernel for kernel in OPERATIONS[dtype]}
    found |= dict(zip(("float_from_bits", "load_i64", "store_i64", "has_nan"), helpers, strict=True))
    return found


def plain_function(dtype: str) -> Callable[..., int]:
    """Return the executor as a Python function, of no file."""
    text, namespace = source(dtype), names(dtype)
    filename = f"<edgebn executor {dtype}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), namespace)  # noqa: S102  # our own text, from our own kernels' signatures
    return namespace["run"]


def compiled(dtype: str) -> Callable[..., int]:
    """Compile the executor of a data type, or load it from the cache."""
    folder = cache.folder()
    if folder is None:
        return _compile(plain_function(dtype), keep=False)
    path = folder / f"executor_{dtype}.py"
    cache.write_once(path, source(dtype))
    spec = importlib.util.spec_from_file_location(f"edgebn_executor_{dtype}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names(dtype))
    sys.modules[spec.name] = module  # Numba looks the module up by name when it loads machine code from the cache
    spec.loader.exec_module(module)
    return _compile(module.run, keep=True)


def _compile(function: Callable[..., int], *, keep: bool) -> Callable[..., int]:
    """Compile for one signature only, so that no call ever compiles again. Numba finds the cache beside the function's file."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", cache=keep)(function)
    dispatcher.compile(numba.int64(*[numba.int64] * ARGUMENTS))
    dispatcher.disable_compile()
    return dispatcher
