"""How kernels read and write one type of elements, where they are the same for several: functions make them over an `Element`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_code, load_f32, load_i16, load_i32, store_code, store_f32, store_i16, store_i32


class Element(NamedTuple):
    """A type: its loads and stores at an address and an index, its bytes, and its least and greatest value."""

    load: Callable[[int, int], Any]
    store: Callable[[int, int, Any], None]
    bytes: int
    least: Any
    most: Any


FLOAT32 = Element(load_f32, store_f32, 4, np.float32(-np.inf), np.float32(np.inf))
INT32 = Element(load_i32, store_i32, 4, -(1 << 31), (1 << 31) - 1)
INT8 = Element(load_code, store_code, 1, -128, 127)
INT16 = Element(load_i16, store_i16, 2, -32768, 32767)


def named(name: str, **kinds: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a kernel of a function, under a name of its own, with the types of those parameters that it leaves open."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__annotations__.update(kinds)
        function.__name__ = function.__qualname__ = name
        return kernel(function)

    return compiled
