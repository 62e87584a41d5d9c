"""The executor: one compiled function that runs a whole inference, or a batch of them, by walking an operation table.

A row of the table is an operation code and then the kernel's arguments, in its own order, as int64 (float32 as its bits).
The code's index in the table of kernels is the dispatch; the ladder that unpacks arguments is written from the kernels'
signatures, one executor a data type so that a process compiles only what it uses. Knows addresses, nothing of programs.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numba
import numpy as np

from edgebn.kernels import (
    add,
    add_tile,
    affine,
    boundary,
    cache,
    convolution,
    depthwise,
    depthwise_tile,
    elementwise,
    halo,
    lookup,
    movement,
    multiply,
    pool,
    primitives,
    resize,
    softmax,
    tile,
    transposed_convolution,
)

SHARED = (boundary.copy_rows, halo.fill_halo, halo.fill_bytes, movement.reshape, resize.nearest)

# Data type of the program to its kernels; position is the operation code.
OPERATIONS: dict[str, tuple[Callable[..., None], ...]] = {
    "float32": (
        *SHARED,
        *tile.FLOAT32_TILES,
        *depthwise_tile.FLOAT32_DEPTHWISE,
        halo.fill_f32,
        movement.move_f32,
        convolution.convolution_f32,
        depthwise.depthwise_f32,
        transposed_convolution.transposed_convolution_f32,
        affine.affine_f32,
        add.add_f32,
        multiply.multiply_f32,
        pool.maximum_f32,
        pool.average_f32,
        elementwise.clip_f32,
        elementwise.leaky_relu_f32,
        elementwise.prelu_f32,
        elementwise.sigmoid_f32,
        elementwise.tanh_f32,
        elementwise.hard_sigmoid_f32,
        elementwise.hard_swish_f32,
        elementwise.silu_f32,
        softmax.softmax_f32,
        resize.bilinear_f32,
    ),
    "int8": (
        *SHARED,
        *tile.INT8_TILES,
        *add_tile.INT8_ADD,
        *depthwise_tile.INT8_DEPTHWISE,
        boundary.flip_rows,
        boundary.quantize_rows,
        boundary.dequantize_rows,
        movement.move_u8,
        convolution.convolution_i8,
        depthwise.depthwise_i8,
        transposed_convolution.transposed_convolution_i8,
        affine.affine_i8,
        add.add_i8,
        add.add_double_i8,
        multiply.multiply_i8,
        pool.maximum_i8,
        pool.average_i8,
        pool.average_rescaled_i8,
        lookup.lookup_i8,
        softmax.softmax_i8,
        resize.bilinear_i8,
    ),
}


@dataclass(frozen=True)
class Operation:
    """How to call one kernel through the table.

    Attributes
    ----------
    name : str
        The kernel's function name.
    code : int
    arguments : tuple of (name, is_float)
    """

    name: str
    code: int
    arguments: tuple[tuple[str, bool], ...]


def operations(dtype: str) -> dict[str, Operation]:
    """Return every operation of a data type by name."""
    return {operation.name: operation for operation in starmap(_operation, enumerate(OPERATIONS[dtype]))}


def _operation(code: int, kernel: Callable[..., None]) -> Operation:
    signature = inspect.signature(getattr(kernel, "py_func", kernel))
    arguments = tuple((name, argument.annotation == "float") for name, argument in signature.parameters.items())
    return Operation(kernel.__name__, code, arguments)


def table_width(dtype: str) -> int:
    """Return the words of one row: the code and the longest list of arguments."""
    return 1 + max(len(operation.arguments) for operation in operations(dtype).values())


def row(operation: Operation, **arguments: float) -> list[int]:
    """Return the words of one table row (unpadded); arguments are named as the kernel names them.

    Raises
    ------
    TypeError
        The names are not exactly the kernel's.
    """
    expected = [name for name, _ in operation.arguments]
    if sorted(expected) != sorted(arguments):
        raise TypeError(f"{operation.name} takes {expected}, not {sorted(arguments)}")
    return [operation.code, *(word(arguments[name]) if real else int(arguments[name]) for name, real in operation.arguments)]


def word(value: float) -> int:
    """Return the word that carries a float32 argument: its bits."""
    return int(np.float32(value).view(np.int32))


TEMPLATE = '''"""Written by edgebn.kernels.executor: the dispatch over the {dtype} kernels."""


def run(table, patches, checks, batch):
    for i in range(checks.shape[0]):
        if has_nan(checks[i, 0], checks[i, 1]):
            return i + 1
    for sample in range(batch):
        for i in range(patches.shape[0]):
            table[patches[i, 0], patches[i, 1]] = patches[i, 2] + sample * patches[i, 3]
        for i in range(table.shape[0]):
            code = table[i, 0]
{ladder}
    return 0
'''


def _source(dtype: str) -> str:
    lines: list[str] = []
    for operation in operations(dtype).values():
        words = [
            f"float_from_bits(table[i, {position}])" if real else f"table[i, {position}]"
            for position, (_, real) in enumerate(operation.arguments, start=1)
        ]
        lines.append(f"            {'elif' if lines else 'if'} code == {operation.code}:")
        lines.append(f"                {operation.name}({', '.join(words)})")
    return TEMPLATE.format(dtype=dtype, ladder="\n".join(lines))


@functools.cache
def executor(dtype: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int], int]:
    """Return the compiled executor of a data type; compiles, or loads from the cache, on the first call.

    Returns
    -------
    callable (table, patches, checks, batch) -> int
        table : int64 (rows, width), walked once a sample, patched in place
        patches : int64 (n, 4): before each sample, table[patch[0], patch[1]] = patch[2] + sample * patch[3]
        checks : int64 (n, 2): address and count of float32 arrays that may hold no NaN
        Returns 0, or before running anything 1 + the index of the check that found a NaN. Releases the GIL.
    """
    text = _source(dtype)
    folder = cache.folder()
    names: dict[str, Any] = {kernel.__name__: kernel for kernel in OPERATIONS[dtype]}
    names |= {"float_from_bits": primitives.float_from_bits, "has_nan": boundary.has_nan}
    words = numba.types.Array(numba.int64, 2, "C")
    signature = numba.int64(words, words, words, numba.int64)
    if folder is None:
        filename = f"<edgebn executor {dtype}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        exec(compile(text, filename, "exec"), names)  # noqa: S102  # our own text, from our own kernels' signatures
        return _compile(names["run"], signature, keep=False)
    path = folder / f"executor_{dtype}.py"
    cache.write_once(path, text)
    spec = importlib.util.spec_from_file_location(f"edgebn_executor_{dtype}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    sys.modules[spec.name] = module  # Numba looks the module up by name when it loads machine code from the cache
    spec.loader.exec_module(module)
    return _compile(module.run, signature, keep=True)


def _compile(function: Callable[..., int], signature: Any, *, keep: bool) -> Callable[..., int]:
    """Compile for one signature only, so that no call ever compiles again. Numba finds the cache beside the function's file."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", cache=keep)(function)
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher
