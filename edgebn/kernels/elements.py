"""How kernels read and write codes of one type, for those that are the same for several: functions make them over an `Element`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_i16, store_code, store_i16


class Element(NamedTuple):
    """A type of codes: its loads and stores at an address and an index, its bytes, and its least and greatest code."""

    load: Callable[[int, int], int]
    store: Callable[[int, int, int], None]
    bytes: int
    least: int
    most: int


INT8 = Element(load_code, store_code, 1, -128, 127)
INT16 = Element(load_i16, store_i16, 2, -32768, 32767)


def named(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a kernel of a function, under a name of its own."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__name__ = function.__qualname__ = name
        return kernel(function)

    return compiled
