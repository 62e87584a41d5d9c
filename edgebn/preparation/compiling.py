"""Kernels before networks, compiled and kept for the next process where a folder can be written, else for this one alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return it compiled by Numba.

    Numba refuses to compile at all when there is no folder to keep the result in: a service whose home is read-only.
    """
    try:
        made: Callable[..., Any] = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:
        made = njit(nogil=True, error_model="numpy")(function)
    return made
