"""How kernels are compiled. Compilation itself happens once, in the executor that calls them.

No kernel may let LLVM reorder or contract float32 arithmetic: what it would reorder depends on how often a function has passed its
optimiser, so a process that has just compiled, one that loads the cache and one that loads an ahead-of-time object would differ in
the last bits. A multiply-add that is rounded once is written as one (`vectors.fused_multiply_add`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
from numba import config, njit

# Kernels are called by the executor alone, so they need no wrappers for Python and C.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Compile inside also where NUMBA_DISABLE_JIT=1 asks for plain Python, which what goes over addresses cannot be."""
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        yield
    finally:
        config.DISABLE_JIT = disabled


@functools.cache
def write_addresses_as_sums() -> None:
    """Let code generation in this process write the sums of integers that addresses are as sums, and not as steps from a pointer.

    Numba generates the code of a function before it links its LLVM code into callers, where that is optimised again. The code
    generator (LLVM's CodeGenPrepare) writes addresses anew where they are used, as a step from either part of the sum: once a
    caller's constants make that part zero, it is a step from the null pointer, and the optimiser takes the access away as
    undefined. Ahead-of-time objects have their code generated once, at the end.
    """
    llvm.set_option("edgebn", "-addr-sink-using-gep=false")


def decorator(**options: Any) -> Callable[..., Any]:
    """Return `numba.njit` with options, as `compiling` has it."""

    def decorate(function: Callable[..., Any]) -> Any:
        with compiling():
            return njit(**options)(function)

    return decorate


kernel: Callable[..., Any] = decorator(**OPTIONS)
# Part of whatever calls it: for what would else be compiled for itself and again with each caller, or called once a pixel.
inlined: Callable[..., Any] = decorator(**OPTIONS, inline="always")
